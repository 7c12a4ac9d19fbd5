"""insightlog: event-sourced product insights that speak PostHog's Insights API.

The root of the repository is the package itself: `domain/`, `application/` and `adapters/` are
`insightlog.domain`, `insightlog.application` and `insightlog.adapters`. Sources import each other
relatively, tests and users absolutely (`import insightlog`).
"""

from __future__ import annotations

from . import adapters
from .adapters.composition import Settings
from .adapters.composition import open_log as open
from .application.library import Insightlog, Project
from .domain.errors import (
    InsightlogError,
    InvalidInput,
    InvalidQuery,
    NotFound,
    UnsupportedQuery,
    VersionConflict,
)

__all__ = [
    "Insightlog",
    "InsightlogError",
    "InvalidInput",
    "InvalidQuery",
    "NotFound",
    "Project",
    "Settings",
    "UnsupportedQuery",
    "VersionConflict",
    "adapters",
    "open",
]
