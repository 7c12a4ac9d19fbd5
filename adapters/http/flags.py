"""What SDKs ask for at start: remote configuration and flags (insights-api.md 8.10). There are no flags here."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import falcon
import orjson

from ...application.ports import Clock
from ...domain.capture import BadPayload, uuid7
from ...domain.errors import StoreUnavailable
from . import rendering
from .body import CAPTURE_LIMITS
from .capture import PACKED_IN_QUERY, allow_origin, sent_of
from .errors import BareNotFound, error_body
from .inflate import TooLarge
from .operations import Parameter, operation
from .payload import decode_payload
from .schemas import ANY, INTEGER, OBJECT, TEXT, array, shape

ProjectOfToken = Callable[[str], int | None]
"""Gives the project of a capture token, None for a token that nobody has."""

CONFIG_MAX_AGE_S = 300
_CONFIG: Mapping[str, Any] = {
    "supportedCompression": ["gzip", "gzip-js"],
    "hasFeatureFlags": False,
    "captureDeadClicks": False,
    "capturePerformance": False,
    "autocapture_opt_out": False,
    "autocaptureExceptions": False,
    "analytics": {"endpoint": "/i/v0/e/"},
    "elementsChainAsString": True,
    "sessionRecording": False,
    "surveys": False,
    "heatmaps": False,
    "defaultIdentifiedOnly": True,
    "siteApps": [],
}
_OLD_CONFIG: Mapping[str, Any] = {
    "config": {"enable_collect_everything": True},
    "toolbarParams": {},
    "isAuthenticated": False,
}
_TOKEN_KEYS = ("token", "api_key", "$token")
_DECIDE_KEYS = (
    "supportedCompression", "sessionRecording", "capturePerformance", "autocapture_opt_out", "autocaptureExceptions",
    "surveys", "siteApps",
)  # fmt: skip
_SCRIPT = (
    b"(function(w){var c=w._POSTHOG_REMOTE_CONFIG;if(!c||typeof c!=='object')c=w._POSTHOG_REMOTE_CONFIG={};"
    b"c[%s]={config:%s,siteApps:[]};})(window);"
)

ASKED_IN_QUERY = (
    *PACKED_IN_QUERY,
    *(Parameter(name, TEXT, "The project's capture token.") for name in _TOKEN_KEYS),
    Parameter("v", INTEGER, "The version of the answer."),
)
FLAGS_IN_QUERY = (*ASKED_IN_QUERY, Parameter("config", TEXT, "true: with the configuration."))
NO_FLAGS = shape({"flags": array(ANY), "group_type_mapping": OBJECT, "cohorts": OBJECT})


class RemoteConfig:
    """`/array/:token/config`."""

    def __init__(self, project_of_token: ProjectOfToken) -> None:
        self._project_of_token = project_of_token

    @operation(answer=OBJECT)
    def on_get(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        """Answer with the configuration of a project's SDKs; 404 for an unknown token."""
        rendering.write_json(resp, self._config(req, resp, token))

    def on_options(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        """Answer a preflight request."""
        allow_origin(req, resp)

    def _config(self, req: falcon.Request, resp: falcon.Response, token: str) -> dict[str, Any]:
        allow_origin(req, resp)
        if self._project_of_token(token) is None:
            raise BareNotFound
        resp.set_header("Cache-Control", f"public, max-age={CONFIG_MAX_AGE_S}")
        return {"token": token, **_CONFIG}


class RemoteConfigScript(RemoteConfig):
    """`/array/:token/config.js`."""

    @operation(answer=TEXT, media="application/javascript")
    def on_get(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        """Answer with a script that holds the configuration; 404 for an unknown token."""
        config = self._config(req, resp, token)
        resp.content_type = "application/javascript"
        # A script may be embedded: `<` must not end the element that holds it.
        resp.data = (_SCRIPT % (orjson.dumps(token), orjson.dumps(config))).replace(b"<", b"\\u003c")


class _Asked:
    """A request for flags, read; subclasses shape the answer."""

    path = ""

    def __init__(self, project_of_token: ProjectOfToken, clock: Clock) -> None:
        self._project_of_token = project_of_token
        self._clock = clock

    def _respond(self, req: falcon.Request, resp: falcon.Response) -> None:
        allow_origin(req, resp)
        try:
            asked = self._asked(req)
        except BadPayload as error:
            _refuse(resp, falcon.HTTP_400, "invalid_request", "malformed_data", f"This cannot be read: {error.detail}.")
            return
        except TooLarge as error:
            _refuse(
                resp, falcon.HTTP_413, "invalid_request", "request_too_large", f"The request is too large: {error}."
            )
            return
        problem = self._problem(asked)
        if problem is not None:
            _refuse(resp, *problem)
        else:
            rendering.write_json(resp, self._answer(req, asked))

    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a preflight request."""
        allow_origin(req, resp)

    def _asked(self, req: falcon.Request) -> dict[str, Any]:
        """Return the payload, completed by a token in the query string. Raises `BadPayload` and `TooLarge`."""
        sent = sent_of(req)
        asked = decode_payload(sent, CAPTURE_LIMITS[self.path]).value if sent.body or sent.query.get("data") else {}
        if not isinstance(asked, dict):
            raise BadPayload("the payload must be a JSON object")
        return {name: req.get_param(name) for name in _TOKEN_KEYS if req.get_param(name)} | asked

    def _problem(self, asked: Mapping[str, Any]) -> tuple[str, str, str, str] | None:
        token = _token_of(asked)
        if not isinstance(token, str):
            return falcon.HTTP_401, "authentication_error", "no_api_key", "The request names no project token."
        try:
            is_known = self._project_of_token(token.strip()) is not None
        except StoreUnavailable:
            return falcon.HTTP_503, "server_error", "unavailable", "transient error, please retry"
        if not is_known:
            return falcon.HTTP_401, "authentication_error", "invalid_api_key", "No project has this token."
        if not asked.get("disable_flags") and _is_nobody(asked):
            return falcon.HTTP_400, "validation_error", "missing_distinct_id", "Flags are asked for a distinct_id."
        return None

    def _answer(self, req: falcon.Request, asked: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError


class Flags(_Asked):
    """`/flags/`."""

    path = "/flags"

    @operation(answer=OBJECT, query=FLAGS_IN_QUERY)
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer what the query string asks."""
        self._respond(req, resp)

    @operation(answer=OBJECT, query=FLAGS_IN_QUERY, is_body_any=True)
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer what the body asks."""
        self._respond(req, resp)

    def _answer(self, req: falcon.Request, asked: Mapping[str, Any]) -> dict[str, Any]:
        now = self._clock()
        answer: dict[str, Any] = {"errorsWhileComputingFlags": False}
        answer |= {"flags": {}} if _version(req) >= 2 else {"featureFlags": {}, "featureFlagPayloads": {}}
        answer["requestId"] = str(uuid7(now, secrets.randbits(74)))
        answer["evaluatedAt"] = int(now.timestamp() * 1000)
        if (req.get_param("config") or "").lower() in {"true", "1"}:
            answer |= {"token": str(_token_of(asked)).strip(), **_CONFIG, **_OLD_CONFIG}
        return answer


class Decide(_Asked):
    """`/decide/`, which older SDKs ask."""

    path = "/decide"

    @operation(answer=OBJECT, query=ASKED_IN_QUERY)
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer what the query string asks."""
        self._respond(req, resp)

    @operation(answer=OBJECT, query=ASKED_IN_QUERY, is_body_any=True)
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer what the body asks."""
        self._respond(req, resp)

    def _answer(self, req: falcon.Request, asked: Mapping[str, Any]) -> dict[str, Any]:
        answer = {**_OLD_CONFIG, **{key: _CONFIG[key] for key in _DECIDE_KEYS}}
        version = _version(req)
        answer["featureFlags"] = {} if version >= 2 else []
        if version >= 3:
            answer |= {"featureFlagPayloads": {}, "errorsWhileComputingFlags": False}
        return answer


class LocalEvaluation:
    """Flag definitions for server SDKs with a personal key: none."""

    @operation(answer=NO_FLAGS)
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer that the project has no flags."""
        rendering.write_json(resp, {"flags": [], "group_type_mapping": {}, "cohorts": {}})


def start_routes(project_of_token: ProjectOfToken, clock: Clock) -> list[tuple[str, Any]]:
    """Return paths, without trailing slash, that are open to everybody, and the resource of each."""
    return [
        ("/array/{token}/config", RemoteConfig(project_of_token)),
        ("/array/{token}/config.js", RemoteConfigScript(project_of_token)),
        ("/flags", Flags(project_of_token, clock)),
        ("/decide", Decide(project_of_token, clock)),
    ]


def _token_of(asked: Mapping[str, Any]) -> Any:
    return next((asked[key] for key in _TOKEN_KEYS if asked.get(key)), None)


def _is_nobody(asked: Mapping[str, Any]) -> bool:
    return all(asked.get(key) is None or asked[key] == "" for key in ("distinct_id", "$distinct_id"))


def _version(req: falcon.Request) -> int:
    text = req.get_param("v") or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0


def _refuse(resp: falcon.Response, status: str, kind: str, code: str, detail: str) -> None:
    resp.status = status
    rendering.write_json(resp, error_body(kind, code, detail))
