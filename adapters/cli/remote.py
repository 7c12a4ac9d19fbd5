"""Requests to a running server."""

from __future__ import annotations

from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import click
import orjson

TIMEOUT_S = 120


class Refused(click.ClickException):
    """A server answered, with an error."""

    def __init__(self, url: str, status: int, said: str, retry_after_s: float) -> None:
        super().__init__(f"{url} answered {status}: {said}")
        self.status = status
        self.retry_after_s = retry_after_s


def post_json(url: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    """Return the JSON answer to a POST. Raises `click.ClickException` with what the server said."""
    sent = {"Content-Type": "application/json", **headers}
    return _answer(url.rstrip("/") + path, orjson.dumps(body), sent)


def get_json(url: str, headers: dict[str, str]) -> Any:
    """Return the JSON answer to a GET. Raises `Refused`, `click.ClickException`."""
    return _answer(url, None, headers)


def _answer(url: str, body: bytes | None, headers: dict[str, str]) -> Any:
    request = Request(url, data=body, headers=headers)  # noqa: S310 the option's callback looks at the scheme
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return orjson.loads(answer.read())
    except HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")
        after = error.headers.get("Retry-After") or ""
        raise Refused(url, error.code, said, float(after) if after.isdecimal() else 1.0) from error
    except URLError as error:
        raise click.ClickException(f"{url} cannot be reached: {error.reason}") from error
    except orjson.JSONDecodeError as error:
        raise click.ClickException(f"{url} did not answer with JSON.") from error
