"""The members of cohorts as they were calculated last; like everything here thrown away with the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._relations import offered

if TYPE_CHECKING:
    import duckdb


def keep_members(
    connection: duckdb.DuckDBPyConnection, project_id: int, cohort_id: int, person_ids: Sequence[int]
) -> None:
    """Put the persons in place of the cohort's list; inside the caller's transaction."""
    connection.execute("DELETE FROM cohort_people WHERE project_id = ? AND cohort_id = ?", [project_id, cohort_id])
    with offered(connection, "members", {"person_id": "int64"}, [(person,) for person in person_ids]):
        connection.execute("INSERT INTO cohort_people SELECT ?, ?, person_id FROM members", [project_id, cohort_id])
