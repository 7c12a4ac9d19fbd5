"""Requests to a running server."""

from __future__ import annotations

from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import click
import orjson

TIMEOUT_S = 120


def post_json(url: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    """Return the JSON answer to a POST. Raises `click.ClickException` with what the server said."""
    if not url.startswith(("http://", "https://")):
        raise click.UsageError("--url starts with http:// or https://.")
    request = Request(  # noqa: S310 the scheme is checked above
        url.rstrip("/") + path, data=orjson.dumps(body), headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return orjson.loads(answer.read())
    except HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")
        raise click.ClickException(f"{url} answered {error.code}: {said}") from error
    except URLError as error:
        raise click.ClickException(f"{url} cannot be reached: {error.reason}") from error
