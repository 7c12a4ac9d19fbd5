"""Representations: from insights, users, entries and results to the JSON of the contract. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl, urlencode

import falcon
import orjson
from attrs import frozen

from ...application.json_values import iso, json_bytes
from ...application.model import Activity, User
from ...application.rights import Rights
from ...application.visiting import Share
from ...domain.dashboard_events import EVERYONE_CAN_EDIT, ONLY_COLLABORATORS_CAN_EDIT
from ...domain.errors import InvalidQuery
from ...domain.insight import Insight
from ...domain.queries.legacy import filters_to_query
from ...domain.sharing import SharePassword, Sharing
from .formats import ASKED_PATH
from .results import why_null

Users = Mapping[int, User]


NOT_FINITE = {"nan": "result::nan", "inf": "result::inf"}
"""What says where in a result there are numbers that JSON lacks (insights-api.md 1.2)."""
CAN_VIEW, CAN_EDIT = 21, 37
PERSONAL = ("created_by", "last_modified_by", "created_at", "last_modified_at")
"""What a share that hides extra details does not show."""


@frozen
class Standing:
    """What an insight is to the one who looks at it: where it stands, and what may be done with it."""

    tiles: tuple[Mapping[str, Any], ...] = ()
    """`id`, `dashboard_id`, `deleted` of its live tiles."""
    restriction: int = EVERYONE_CAN_EDIT
    privilege: int = CAN_EDIT
    level: str | None = None
    """none, viewer, editor, manager; None for a visitor."""


VISITED = Standing(restriction=ONLY_COLLABORATORS_CAN_EDIT, privilege=CAN_VIEW)
"""What a shared insight is to a visitor."""


def standing(insight: Insight, tiles: Iterable[Mapping[str, Any]], rights: Rights | None = None) -> Standing:
    """Return what an insight is to somebody, from the rows of its live tiles; without rights, to nobody in person."""
    gathered = list(tiles)
    may_edit = not gathered or rights is None or any(rights.may_edit_dashboard(tile) for tile in gathered)
    return Standing(
        tiles=tuple(
            {
                "id": tile["id"],
                "dashboard_id": tile["dashboard_id"],
                "deleted": None if tile["deleted"] is None else bool(tile["deleted"]),
            }
            for tile in gathered
        ),
        restriction=max((tile["restriction_level"] for tile in gathered), default=EVERYONE_CAN_EDIT),
        privilege=CAN_EDIT if may_edit else CAN_VIEW,
        level=rights.level(insight) if rights else None,
    )


def without_details(found: dict[str, Any], share: Share | None) -> dict[str, Any]:
    """Return what a visitor is shown, without personal details where the share hides them; None is no visitor."""
    if share is None or not (share.sharing.state.settings or {}).get("hideExtraDetails"):
        return found
    return {key: value for key, value in found.items() if key not in PERSONAL}


@frozen
class Definition:
    """`filters` and `query` as they are shown, and calculated: in the context of a dashboard or as stored."""

    filters: Any
    query: Any


@frozen
class Result:
    """What an insight shows of its calculation (insights-api.md 4.4)."""

    body: Mapping[str, Any]
    timezone: str | None = None
    """The project's zone when a refresh was asked for."""
    has_query: bool = True
    """Whether there was anything to calculate."""

    def fields(self) -> dict[str, Any]:
        """Return the fields of an insight that come from its result; those of a miss are null, and one says why."""
        body = self.body
        reason = why_null(body) if self.has_query else "no_query"
        return {
            "last_refresh": body.get("last_refresh"),
            "cache_target_age": body.get("cache_target_age"),
            "next_allowed_client_refresh": body.get("next_allowed_client_refresh"),
            "result": body.get("results"),
            **{name: body[f"results::{kind}"] for kind, name in NOT_FINITE.items() if f"results::{kind}" in body},
            "hasMore": body.get("hasMore"),
            "columns": body.get("columns"),
            "timezone": self.timezone or body.get("timezone"),
            "is_cached": bool(body.get("is_cached")),
            "query_status": body.get("query_status"),
            "hogql": body.get("hogql"),
            "types": body.get("types"),
            "resolved_date_range": body.get("resolved_date_range"),
            **({} if reason is None else {"result_null_reason": reason}),
            "filters_hash": body.get("cache_key"),
        }


def stored(
    insight: Insight,
    shown: Definition,
    users: Users,
    standing: Standing,
    *,
    last_viewed_at: datetime | None = None,
    match: str | None = None,
) -> dict[str, Any]:
    """Return what the full representation holds beside `Result.fields`, to be laid over it (insights-api.md 2.1).

    The fields of a result that have their place among the others are null.
    """
    return {
        "id": insight.id,
        "short_id": insight.short_id,
        "name": insight.name,
        "derived_name": insight.derived_name,
        "filters": shown.filters,
        "query": shown.query,
        "order": insight.order,
        "deleted": insight.deleted,
        "dashboards": [tile["dashboard_id"] for tile in standing.tiles],
        "dashboard_tiles": list(standing.tiles),
        "last_refresh": None,
        "cache_target_age": None,
        "next_allowed_client_refresh": None,
        "result": None,
        "hasMore": None,
        "columns": None,
        "created_at": iso(insight.created_at),
        "created_by": user(users.get(insight.created_by or 0)),
        "description": insight.description,
        "updated_at": iso(insight.updated_at),
        "tags": list(insight.tags),
        "favorited": insight.favorited,
        "saved": insight.saved,
        "last_modified_at": iso(insight.last_modified_at),
        "last_modified_by": user(users.get(insight.last_modified_by or 0)),
        "is_sample": insight.is_sample,
        "effective_restriction_level": standing.restriction,
        "effective_privilege_level": standing.privilege,
        "user_access_level": standing.level,
        "timezone": None,
        "is_cached": False,
        "query_status": None,
        "hogql": None,
        "types": None,
        "resolved_date_range": None,
        "alerts": [],
        "last_viewed_at": iso(last_viewed_at),
        "search_match_type": match,
    }


def basic(
    insight: Insight,
    shown: Definition,
    users: Users,
    standing: Standing,
    *,
    last_viewed_at: datetime | None = None,
    match: str | None = None,
) -> dict[str, Any]:
    """Return the basic representation: no result, no calculation (insights-api.md 2.7)."""
    return {
        "id": insight.id,
        "short_id": insight.short_id,
        "name": insight.name,
        "derived_name": insight.derived_name,
        "filters": shown.filters,
        "query": shown.query,
        "dashboards": [tile["dashboard_id"] for tile in standing.tiles],
        "dashboard_tiles": list(standing.tiles),
        "description": insight.description,
        "last_refresh": None,
        "refreshing": False,
        "saved": insight.saved,
        "tags": list(insight.tags),
        "updated_at": iso(insight.updated_at),
        "created_by": user(users.get(insight.created_by or 0)),
        "created_at": iso(insight.created_at),
        "last_modified_at": iso(insight.last_modified_at),
        "favorited": insight.favorited,
        "user_access_level": standing.level,
        "last_viewed_at": iso(last_viewed_at),
        "search_match_type": match,
    }


def definition_of(insight: Insight) -> Definition:
    """Return the definition as it is shown: legacy filters appear as the query they convert to (2.4)."""
    if insight.query:
        return Definition({}, insight.query)
    filters = insight.filters
    try:
        source = filters_to_query(filters)
    except InvalidQuery:
        if isinstance(filters, dict) and "insight" not in filters:
            filters = {**filters, "insight": "TRENDS"}
        return Definition(filters, None)
    return Definition({}, {"kind": "InsightVizNode", "source": source, "full": True})


def user(one: User | None) -> dict[str, Any] | None:
    """Return a user as it stands in insights."""
    if one is None:
        return None
    return {
        "id": one.id,
        "uuid": one.uuid,
        "distinct_id": one.distinct_id,
        "first_name": one.first_name,
        "last_name": "",
        "email": one.email,
        "is_email_verified": None,
        "hedgehog_config": None,
        "role_at_organization": None,
    }


def activity(entry: Activity) -> dict[str, Any]:
    """Return an entry of the activity log (insights-api.md 5.1)."""
    if entry.user_id is None:
        who: dict[str, Any] = {"first_name": "System", "email": None, "is_system": True}
    else:
        who = {"first_name": entry.first_name or "", "email": entry.email or ""}
    return {
        "user": who,
        "activity": entry.activity,
        "scope": "Insight",
        "item_id": str(entry.insight_id),
        "detail": {
            "changes": entry.changes,
            "trigger": entry.trigger,
            "name": entry.name,
            "short_id": entry.short_id,
            "type": None,
        },
        "created_at": iso(entry.at),
    }


def sharing(configuration: Sharing | None, token: str, users: Users) -> dict[str, Any]:
    """Return a sharing configuration (insights-api.md 3.3.1)."""
    state = configuration.state if configuration else None
    return {
        "created_at": iso(configuration.created_at) if configuration else None,
        "enabled": bool(state and state.enabled),
        "access_token": token,
        "settings": state.settings if state else None,
        "password_required": bool(state and state.password_required),
        "share_passwords": [share_password(one, users) for one in configuration.passwords] if configuration else [],
        **({"expires_at": iso(datetime.fromisoformat(state.expires_at))} if state and state.expires_at else {}),
    }


def share_password(one: SharePassword, users: Users) -> dict[str, Any]:
    """Return a password of a share as it is listed: without its value, which nobody knows."""
    maker = users.get(one.created_by or 0)
    return {
        "id": one.id,
        "created_at": iso(one.created_at),
        "note": one.note,
        "created_by_email": maker.email if maker else "deleted user",
        "is_active": True,
    }


def envelope(
    req: falcon.Request, site_url: str | None, count: int, limit: int, offset: int, results: list[Any] | orjson.Fragment
) -> dict[str, Any]:
    """Return a page of a list with the addresses of its neighbours (insights-api.md 1.4)."""
    before = offset - limit

    def at(place: int | None) -> str:
        pairs = _pairs_with(req, {"limit": limit, "offset": place})
        return _url(req, site_url, sorted(pairs, key=itemgetter(0)))  # COMPAT: as PostHog's framework sorts them

    return {
        "count": count,
        "next": at(offset + limit) if offset + limit < count else None,
        "previous": at(before if before > 0 else None) if offset else None,
        "results": results,
    }


def url_with(req: falcon.Request, site_url: str | None, **changes: int | str | None) -> str:
    """Return the request's absolute URL with query parameters replaced in place or appended; None drops one."""
    return _url(req, site_url, _pairs_with(req, changes))


def _pairs_with(req: falcon.Request, changes: Mapping[str, int | str | None]) -> list[tuple[str, str]]:
    pairs = parse_qsl(req.query_string, keep_blank_values=True)
    kept = [(name, str(changes[name]) if name in changes else value) for name, value in pairs
            if changes.get(name, 0) is not None]  # fmt: skip
    present = {name for name, _ in pairs}
    return kept + [(name, str(value)) for name, value in changes.items() if name not in present and value is not None]


def _url(req: falcon.Request, site_url: str | None, pairs: list[tuple[str, str]]) -> str:
    base = (site_url or req.prefix).rstrip("/") + req.env.get(ASKED_PATH, req.path)
    return f"{base}?{urlencode(pairs)}" if pairs else base


def write_json(resp: falcon.Response, value: Any) -> None:
    """Put a JSON value into a response; NaN and infinities become null."""
    resp.content_type = falcon.MEDIA_JSON
    resp.data = json_bytes(value)
