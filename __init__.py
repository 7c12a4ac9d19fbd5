"""insightlog: event-sourced product insights that speak PostHog's Insights API.

The root of the repository is the package itself: `domain/`, `application/` and `adapters/` are
`insightlog.domain`, `insightlog.application` and `insightlog.adapters`. Sources import each other
relatively, tests and users absolutely (`import insightlog`).
"""

from __future__ import annotations
