"""Groups: companies, teams or projects that events belong to beside a person. Pure; the engine keeps them.

Source: PostHog group analytics: `$groupidentify`, `$groups` on events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MAX_GROUP_TYPES = 5
"""A project has no more; events of further types are kept without their group."""


def next_types(known: Sequence[str], seen: Iterable[str]) -> list[tuple[int, str]]:
    """Return the types that are new, each with the next free index, in the order in which they were seen.

    >>> next_types(["company"], ["team", "company", "team"])
    [(1, 'team')]
    """
    names = list(known)
    for name in seen:
        if name not in names and len(names) < MAX_GROUP_TYPES:
            names.append(name)
    return list(enumerate(names))[len(known) :]
