"""The Falcon server."""

from __future__ import annotations

from .app import HttpOptions, create_app

__all__ = ["HttpOptions", "create_app"]
