"""WSGI middleware: who sent a request that came through proxies, as these say in `X-Forwarded-For`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from .body import WSGIApp

_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|([\d.]+):\d+")


class ClientAddress:
    """Puts the sender's address into the environment; `n_proxies` of ours stand in front and add one address each."""

    def __init__(self, app: WSGIApp, n_proxies: int) -> None:
        self._app = app
        self._n_proxies = n_proxies

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        sender = sender_of(environ.get("HTTP_X_FORWARDED_FOR", ""), self._n_proxies)
        if sender is not None:
            environ["REMOTE_ADDR"] = sender
        return self._app(environ, start_response)


def sender_of(forwarded: str, n_proxies: int) -> str | None:
    """Return the address that the outermost of our proxies saw, None where it is none; what is left of it is hearsay.

    >>> sender_of("6.6.6.6, 1.2.3.4:5555", 1), sender_of("1.2.3.4, [2345::1]:80", 2), sender_of("unknown", 1)
    ('1.2.3.4', '1.2.3.4', None)
    """
    told = [one.strip() for one in forwarded.split(",")]
    text = told[-min(n_proxies, len(told))]
    match = _WITH_PORT.fullmatch(text)
    address = (match[1] or match[2]) if match else text
    try:
        ip_address(address)
    except ValueError:
        return None
    return address
