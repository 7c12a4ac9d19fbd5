"""The Falcon server. Its parts are loaded when they are first asked for: the arbiter of gunicorn needs none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import HttpOptions, create_app

__all__ = ["HttpOptions", "create_app"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import app  # noqa: PLC0415

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
