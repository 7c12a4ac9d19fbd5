"""Who is who: which product events say that two distinct ids are one person. Pure; the engine keeps the mapping.

Source: PostHog capture, `$identify`, `$create_alias` and `$merge_dangerously`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

MERGING_EVENTS = frozenset({"$identify", "$create_alias", "$merge_dangerously"})
_PLACEHOLDERS = frozenset(
    {
        "anonymous",
        "guest",
        "distinctid",
        "distinct_id",
        "id",
        "not_authenticated",
        "email",
        "undefined",
        "true",
        "false",
    }
)
_EXACT_PLACEHOLDERS = frozenset({"[object Object]", "NaN", "None", "none", "null", "0"})


@frozen
class Merge:
    """The person of `merged` becomes the person of `into`."""

    merged: str
    into: str
    refuses_identified: bool
    """Whether nothing happens when `merged` belongs to an identified person already."""


def changes_persons(event: str, properties: str) -> bool:
    """Whether an event may merge persons or change what is known of them; its properties are JSON text.

    Told from the text alone, and rather too often than not: `$set` may occur in a value.
    """
    return event in MERGING_EVENTS or '"$set' in properties or '"$unset' in properties or event == "$groupidentify"


def merge_of(event: str, distinct_id: str, properties: Mapping[str, Any]) -> Merge | None:
    """Return the merge that an event asks for, None for an ordinary event or ids that are never merged."""
    key = "$anon_distinct_id" if event == "$identify" else "alias"
    other = properties.get(key) if event in MERGING_EVENTS else None
    if isinstance(other, int | float) and not isinstance(other, bool):
        other = json.dumps(other)  # as such a distinct id is stored
    if not isinstance(other, str) or other == distinct_id or not (is_mergeable(other) and is_mergeable(distinct_id)):
        return None
    return Merge(other, distinct_id, refuses_identified=event != "$merge_dangerously")


def is_mergeable(distinct_id: str) -> bool:
    """Whether an id names somebody at all; placeholders such as `null` or `guest` do not."""
    for quote in ("'", '"'):
        if len(distinct_id) > 1 and distinct_id[0] == distinct_id[-1] == quote:
            distinct_id = distinct_id[1:-1]
    return bool(distinct_id.strip()) and not (
        distinct_id.lower() in _PLACEHOLDERS or distinct_id in _EXACT_PLACEHOLDERS
    )
