"""insightlog: event-sourced product insights that speak PostHog's Insights API.

The root of the repository is the package itself: `domain/`, `application/` and `adapters/` are
`insightlog.domain`, `insightlog.application` and `insightlog.adapters`. Sources import each other
relatively, tests and users absolutely (`import insightlog`).

The names below are loaded when they are first used, so that a command need not wait for what it does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .domain.errors import (
    AuthenticationFailed,
    CorruptLog,
    InsightlogError,
    InvalidInput,
    InvalidQuery,
    NotFound,
    Outdated,
    PermissionDenied,
    QueryCancelled,
    QueryTooLarge,
    StoreUnavailable,
    TooManyQueries,
    UnsupportedQuery,
    VersionConflict,
)

if TYPE_CHECKING:
    from . import adapters
    from .adapters.composition import Settings
    from .adapters.composition import open_log as open
    from .application.computing import ComputingOptions
    from .application.library import Insightlog, Project

__all__ = [
    "AuthenticationFailed",
    "ComputingOptions",
    "CorruptLog",
    "Insightlog",
    "InsightlogError",
    "InvalidInput",
    "InvalidQuery",
    "NotFound",
    "Outdated",
    "PermissionDenied",
    "Project",
    "QueryCancelled",
    "QueryTooLarge",
    "Settings",
    "StoreUnavailable",
    "TooManyQueries",
    "UnsupportedQuery",
    "VersionConflict",
    "adapters",
    "open",
]

_LAZY = {
    "ComputingOptions": (".application.computing", "ComputingOptions"),
    "Insightlog": (".application.library", "Insightlog"),
    "Project": (".application.library", "Project"),
    "Settings": (".adapters.composition", "Settings"),
    "open": (".adapters.composition", "open_log"),
}


def __getattr__(name: str) -> Any:
    if name == "adapters":
        return import_module(".adapters", __name__)
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module, __name__), attribute)
