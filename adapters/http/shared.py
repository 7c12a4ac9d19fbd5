"""What is shared, for visitors: `/shared/<token>`, `/embedded/<token>`, and their JSON (insights-api.md 3.3.5)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import falcon

from ...application.computing import Refresh
from ...application.library import Insightlog
from ...application.visiting import Share
from ...domain.errors import AuthenticationFailed, InvalidInput
from ...domain.insight import Insight
from . import pages, rendering
from .access import VISIT_COOKIE, project_of
from .bodies import json_body
from .context import PLAIN
from .dashboards import whole
from .operations import Parameter, operation
from .presenting import Presenter
from .schemas import TEXT, ref, shape

DAY_S = 86_400
PAGE_MODE: Refresh = "async_except_on_cache_miss"
"""Pages calculate what was never calculated; they show what is old while it is calculated again."""
AS_VISITOR = {
    "effective_restriction_level": rendering.VISITED.restriction,
    "effective_privilege_level": rendering.VISITED.privilege,
    "user_access_level": None,
}
"""What a shared dashboard is to a visitor."""
EMBEDDED = Parameter("embedded", TEXT, "As other sites may frame it; any value counts.")
FORM = "application/x-www-form-urlencoded"
HEADERS = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class Shared:
    """What is shared, under a path; `kind` is scene, or embed for what other sites may frame."""

    def __init__(self, log: Insightlog, present: Presenter, kind: str) -> None:
        self._log = log
        self._kind = kind
        self._present = present

    @operation(answers={200: TEXT, 404: TEXT}, query=(EMBEDDED,), media=falcon.MEDIA_HTML)
    def on_get(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        """Show what is shared, or ask for its password; a share that is not open is not found."""
        token, is_json = token.removesuffix(".json"), token.endswith(".json")
        kind = "embed" if "embedded" in req.params else self._kind
        share = self._log.visiting.find(token)
        self._head(resp, kind)
        if share is None or share.shared.deleted:
            self._not_found(resp, is_json=is_json)
            return
        if share.needs_password and not self._has_visited(req, share):
            self._ask_password(resp, is_json=is_json)
            return
        self._log.visiting.note_view(share)
        data = self._data(req, share, token, kind)
        if is_json:
            rendering.write_json(resp, data)
        else:
            self._page(resp, pages.shared_page(data))

    @operation(answers={200: shape({"shareToken": TEXT}), 303: None, 401: ref("BareError")}, is_body_any=True)
    def on_post(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        """Take a password: JSON gets a token and a cookie, a form is sent back to the page."""
        token = token.removesuffix(".json")
        self._head(resp, self._kind)
        is_form = (req.content_type or "").startswith(FORM)
        password = _form_password(req) if is_form else json_body(req).get("password")
        share = self._log.visiting.find(token)
        if share is None or share.shared.deleted or not share.needs_password:
            self._not_found(resp, is_json=not is_form)
            return
        if not isinstance(password, str) or not password:
            raise InvalidInput("This field is required.", path="password", code="required")
        try:
            visit = self._log.visiting.unlock(share, password, req.remote_addr or "")
        except AuthenticationFailed as error:
            resp.status = falcon.HTTP_401
            if is_form:
                self._page(resp, pages.password_page("That password is not right."))
            else:
                rendering.write_json(resp, {"error": str(error)})
            return
        resp.set_cookie(
            VISIT_COOKIE,
            visit,
            max_age=DAY_S,
            path=req.path.removesuffix(".json"),
            http_only=True,
            same_site="Lax",
            secure=req.scheme == "https",
        )
        if is_form:
            resp.status = falcon.HTTP_303
            resp.set_header("Location", req.path)
        else:
            rendering.write_json(resp, {"shareToken": visit})

    def _data(self, req: falcon.Request, share: Share, token: str, kind: str) -> dict[str, Any]:
        req.context.caller, req.context.share = None, share
        project = project_of(self._log, share)
        if isinstance(share.shared, Insight):
            shown = {"insight": self._present.on_page(req, project, share.shared, PLAIN, page_mode=PAGE_MODE)}
        else:
            found = whole(self._present, req, project, share.shared, PLAIN, page_mode=PAGE_MODE)
            shown = {"dashboard": rendering.without_details(found | AS_VISITOR, share)}
        settings = {name: value for name, value in (share.sharing.state.settings or {}).items() if value}
        return {"type": kind, "accessToken": token, **shown, "themes": [], **settings}

    def _has_visited(self, req: falcon.Request, share: Share) -> bool:
        bearer = (req.get_header("Authorization") or "").removeprefix("Bearer ").strip()
        for visit in (bearer, req.cookies.get(VISIT_COOKIE)):
            found = self._log.visiting.find_by_visit(visit) if visit else None
            if found is not None and found.resource == share.resource:
                return True
        return False

    def _ask_password(self, resp: falcon.Response, *, is_json: bool) -> None:
        if is_json:
            rendering.write_json(resp, {"type": "unlock"})
        else:
            self._page(resp, pages.password_page())

    def _not_found(self, resp: falcon.Response, *, is_json: bool) -> None:
        resp.status = falcon.HTTP_404
        if is_json:
            body = {"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": None}
            rendering.write_json(resp, body)
        else:
            self._page(resp, pages.not_found_page())

    @staticmethod
    def _head(resp: falcon.Response, kind: str) -> None:
        for name, value in HEADERS.items():
            resp.set_header(name, value)
        if kind != "embed":
            resp.set_header("X-Frame-Options", "DENY")  # what older browsers know of the policy below
        frames = "*" if kind == "embed" else "'none'"
        resp.set_header("Content-Security-Policy", pages.content_security_policy(frames))

    @staticmethod
    def _page(resp: falcon.Response, html: str) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = html


def _form_password(req: falcon.Request) -> str | None:
    fields = parse_qs(req.bounded_stream.read().decode("utf-8", "replace"))
    return fields.get("password", [None])[-1]
