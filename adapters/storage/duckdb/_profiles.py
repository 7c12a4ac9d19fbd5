"""Answers who some actors are: stored persons with their distinct ids, or groups."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

from ....domain.person_changes import person_uuid
from ....domain.queries.actors import Profile, ProfilesPlan, UuidsPlan
from ._statement import Statement

if TYPE_CHECKING:
    import duckdb

_PERSONS = """
SELECT person_id, uuid::VARCHAR, created_at, properties, is_identified,
    (SELECT coalesce(list(distinct_id ORDER BY rowid), []) FROM distinct_ids d
     WHERE d.project_id = p.project_id AND d.person_id = p.person_id)
FROM persons p WHERE project_id = $project AND person_id IN (SELECT unnest($ids::BIGINT[]))
"""
_DISTINCT_IDS = """
SELECT person_id, min(distinct_id) FROM distinct_ids
WHERE project_id = $project AND person_id IN (SELECT unnest($ids::BIGINT[])) GROUP BY person_id
"""
_GROUPS = """
SELECT group_key, group_key, created_at, properties FROM groups
WHERE project_id = $project AND group_type_index = $index AND group_key IN (SELECT unnest($ids::VARCHAR[]))
"""


def profiles(plan: ProfilesPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> list[Profile]:
    """Answer who the actors are."""
    del statement
    values: dict[str, Any] = {"project": plan.project_id, "ids": list(plan.ids)}
    if plan.group_type_index is None:
        rows = cursor.execute(_PERSONS, values).fetchall()
    else:
        rows = cursor.execute(_GROUPS, values | {"index": plan.group_type_index}).fetchall()
    return [_profile(*row) for row in rows]


def uuids(plan: UuidsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    """Answer which uuids persons without a profile have."""
    del statement
    rows = cursor.execute(_DISTINCT_IDS, {"project": plan.project_id, "ids": list(plan.ids)}).fetchall()
    return [(person, str(person_uuid(plan.project_id, distinct_id))) for person, distinct_id in rows]


def _profile(
    actor: int | str,
    uuid: str,
    created_at: Any,
    properties: str,
    is_identified: bool = False,
    distinct_ids: tuple[str, ...] = (),
) -> Profile:
    return Profile(
        actor, uuid, created_at.replace(tzinfo=UTC), json.loads(properties), bool(is_identified), tuple(distinct_ids)
    )
