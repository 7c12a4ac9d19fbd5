"""Errors as the contract shows them: one table from error class to status, type and code (insights-api.md 1.6)."""

from __future__ import annotations

import logging
import re
from typing import Any

import falcon
import orjson

from ...application.visiting import TooManyTries
from ...domain.errors import (
    AuthenticationFailed,
    CorruptLog,
    InsightlogError,
    InvalidInput,
    NotFound,
    Outdated,
    PasswordsOff,
    PermissionDenied,
    QueryCancelled,
    QueryTooLarge,
    StoreUnavailable,
    TooManyQueries,
    VersionConflict,
    sentence,
)
from ...domain.queries.legacy_names import parameter_of

logger = logging.getLogger("insightlog.http")
ASKED_METHOD = "insightlog.asked_method"
"""Where a WSGI environment has the method of a request that Falcon does not know."""


class ParseFailed(InvalidInput):
    """A body that is no JSON, or a query that does not fit its schema."""


class BareNotFound(InsightlogError):
    """Something that is not there, with the contract's own sentence."""

    def __init__(self, detail: str = "Not found.") -> None:
        super().__init__(detail)


class Throttled(InsightlogError):
    """More requests than the limits allow."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too many requests.")
        self.retry_after_s = retry_after_s


TABLE: tuple[tuple[type[Exception], str, str, str], ...] = (
    (ParseFailed, falcon.HTTP_400, "invalid_request", "parse_error"),
    (QueryTooLarge, falcon.HTTP_400, "validation_error", "invalid_input"),
    (InvalidInput, falcon.HTTP_400, "validation_error", ""),
    (AuthenticationFailed, falcon.HTTP_403, "authentication_error", ""),
    (PermissionDenied, falcon.HTTP_403, "authentication_error", "permission_denied"),
    (BareNotFound, falcon.HTTP_404, "invalid_request", "not_found"),
    (NotFound, falcon.HTTP_404, "invalid_request", "not_found"),
    (QueryCancelled, falcon.HTTP_400, "validation_error", "query_cancelled"),
    (TooManyQueries, falcon.HTTP_429, "throttled_error", "throttled"),
    (Throttled, falcon.HTTP_429, "throttled_error", "throttled"),
    (TooManyTries, falcon.HTTP_429, "throttled_error", "throttled"),
    (Outdated, falcon.HTTP_412, "invalid_request", "precondition_failed"),
    (VersionConflict, falcon.HTTP_409, "invalid_request", "conflict"),
    (StoreUnavailable, falcon.HTTP_503, "server_error", "unavailable"),
    (CorruptLog, falcon.HTTP_503, "server_error", "damaged"),
    (InsightlogError, falcon.HTTP_400, "invalid_request", "error"),
)
"""First match counts. An empty code is taken from the error."""

NOT_FOUND = {"Project": "Project not found.", "Password": "Password not found"}
"""What is said of things that are not there, where it is not just `Not found.`"""

FALCON_DETAILS = {
    404: ("not_found", "Not found."),
    406: ("not_acceptable", "Could not satisfy the request Accept header."),
    413: ("request_too_large", "The request body is too large."),
}


def error_body(kind: str, code: str, detail: str, attr: str | None = None) -> dict[str, Any]:
    """Return the four keys of every error."""
    return {"type": kind, "code": code, "detail": detail, "attr": attr}


def attr_of(path: str | None) -> str | None:
    """Return the contract's name of a field: parts joined by two underscores.

    >>> attr_of("query.series[0].math")
    'query__series__0__math'
    """
    return None if path is None else re.sub(r"[.\[]", "__", path).replace("]", "")


def on_insightlog_error(req: falcon.Request, resp: falcon.Response, error: Exception, _params: Any) -> None:
    """Render an error of the library."""
    if isinstance(error, PasswordsOff):
        write_error(resp, falcon.HTTP_400, {"error": str(error)})
        return
    challenged = isinstance(error, AuthenticationFailed) and getattr(req.context, "challenges", False)
    if challenged:
        resp.set_header("WWW-Authenticate", "Bearer")
    for cls, status, kind, fixed in TABLE:
        if isinstance(error, cls):
            code = fixed or getattr(error, "code", "error")
            if isinstance(error, TooManyQueries | TooManyTries | Throttled):
                resp.set_header("Retry-After", str(error.retry_after_s))
            path = getattr(error, "path", None)
            if path is not None and getattr(req.context, "names_parameters", False):
                path = parameter_of(path)
            body = error_body(kind, code, detail_of(error), attr_of(path))
            write_error(resp, falcon.HTTP_401 if challenged else status, body)
            return
    raise error


def detail_of(error: Exception) -> str:
    """Return the sentence that the contract has for an error, or else the error's own."""
    if isinstance(error, NotFound):
        return NOT_FOUND.get(error.what, "Not found.")
    if isinstance(error, TooManyQueries | TooManyTries | Throttled):
        unit = "second" if error.retry_after_s == 1 else "seconds"
        return f"Request was throttled. Expected available in {error.retry_after_s} {unit}."
    return sentence(error) if isinstance(error, InsightlogError) else str(error)


def on_http_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: Any) -> None:
    """Render an error that Falcon raises in the contract's shape."""
    number = error.status_code
    if number == 405:
        method = req.env.get(ASKED_METHOD, req.method)
        body = error_body("invalid_request", "method_not_allowed", f'Method "{method}" not allowed.')
    elif number == 415:
        body = error_body("invalid_request", "unsupported_media_type", str(error.description))
    elif number in FALCON_DETAILS:
        code, detail = FALCON_DETAILS[number]
        body = error_body("invalid_request", code, detail)
    elif number >= 500:
        body = error_body("server_error", "error", "A server error occurred.")
    else:
        code = "parse_error" if number == 400 else "error"
        body = error_body("invalid_request", code, error.description or error.title or "The request is malformed.")
    if error.headers:
        resp.set_headers(error.headers)
    write_error(resp, str(error.status), body)


def on_any_error(req: falcon.Request, resp: falcon.Response, error: Exception, _params: Any) -> None:
    """Render what nobody foresaw, without a word about it; the log has the trace, but no query string."""
    logger.error("%s %s failed", req.method, req.path, exc_info=error)
    write_error(resp, falcon.HTTP_500, error_body("server_error", "error", "A server error occurred."))


def write_error(resp: falcon.Response, status: str, body: dict[str, Any]) -> None:
    """Put an error into a response."""
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = orjson.dumps(body)
    resp.text = None
