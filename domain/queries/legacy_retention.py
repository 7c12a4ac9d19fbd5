"""What legacy filters of retention mean when they leave something out, which a RetentionQuery must say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_INTERVALS = 11


def with_defaults(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a RetentionQuery in JSON with the intervals and the returning event that are meant."""
    asked = dict(query.get("retentionFilter") or {})
    asked.setdefault("totalIntervals", DEFAULT_INTERVALS)
    if "targetEntity" in asked:
        asked.setdefault("returningEntity", asked["targetEntity"])
    return {**query, "retentionFilter": asked}
