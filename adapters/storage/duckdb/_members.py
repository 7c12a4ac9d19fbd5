"""The members of cohorts as they were calculated last; like everything here thrown away with the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ....domain.queries.group_plans import KeptCohortsPlan
from ._relations import offered

if TYPE_CHECKING:
    import duckdb

    from ._statement import Statement


def keep_members(
    connection: duckdb.DuckDBPyConnection, project_id: int, cohort_id: int, person_ids: Sequence[int]
) -> None:
    """Put the persons in place of the cohort's list; inside the caller's transaction.

    A person 0, whom there is not, tells that the list is kept when nobody is on it.
    """
    connection.execute("DELETE FROM cohort_people WHERE project_id = ? AND cohort_id = ?", [project_id, cohort_id])
    with offered(connection, "members", {"person_id": "int64"}, [(0,), *((person,) for person in person_ids)]):
        connection.execute("INSERT INTO cohort_people SELECT ?, ?, person_id FROM members", [project_id, cohort_id])


def kept_cohorts(
    plan: KeptCohortsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> list[tuple[Any, ...]]:
    """Answer which cohorts' members are kept."""
    del statement
    return cursor.execute(
        "SELECT DISTINCT cohort_id FROM cohort_people WHERE project_id = ?", [plan.project_id]
    ).fetchall()
