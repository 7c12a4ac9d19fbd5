"""Actions and cohorts: one row for each, with its whole state; rows and states turn into each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from ...domain.action import Action, evolve_action
from ...domain.cohort import (
    Calculation,
    Cohort,
    CohortPersonsAdded,
    CohortPersonsRemoved,
    evolve_calculation,
    evolve_cohort,
)
from ...domain.events import Record
from ...domain.name_definitions import NameDefined
from .listing import from_json, to_json
from .tables import Change, Put, PutAll, ReadRow, Remove, instant, micros


def mark_name(project_id: int | None) -> str:
    """Return the name of the mark that tells when a project's actions or cohorts changed last."""
    return f"definitions:{project_id}"


def action_changes(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    """Give the row changes for records of one action."""
    row = read("actions", records[0].subject_id)
    before = None if row is None else action_from_row(row)
    after = reduce(evolve_action, records, before)
    if after is not None:
        yield action_row(after)
        yield _mark(records)


def cohort_changes(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    """Give the row changes for records of one cohort; what is known of its members stays."""
    row = read("cohorts", records[0].subject_id)
    before = None if row is None else cohort_from_row(row)
    after = reduce(evolve_cohort, records, before)
    if after is None:
        return
    yield cohort_row(after)
    for record in records:
        match record.event:
            case CohortPersonsAdded(distinct_ids=names):
                yield PutAll("cohort_lists", ("cohort_id", "distinct_id"), tuple((after.id, name) for name in names))
            case CohortPersonsRemoved(distinct_ids=names):
                yield from (Remove("cohort_lists", {"cohort_id": after.id, "distinct_id": name}) for name in names)
    yield _mark(records)


def name_changes(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    """Give the row changes for what is said of names. `read` knows ids only: changes are laid over in the row."""
    del read
    for record in records:
        said = record.event
        if isinstance(said, NameDefined):
            for field, value in said.changes.items():
                yield Put(
                    "said_names",
                    {
                        "project_id": record.project_id,
                        "kind": said.kind,
                        "name": said.name,
                        "field": field,
                        "value": to_json(value),
                        "updated_at": micros(record.at),
                        "updated_by": record.by.user_id,
                    },
                )
    yield _mark(records)


def calculation_changes(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    """Give the row changes for calculations of one cohort."""
    row = read("cohorts", records[0].subject_id)
    if row is not None:
        after = reduce(evolve_calculation, records, cohort_from_row(row).calculation)
        yield Put("cohorts", {"id": records[0].subject_id, **_calculation_columns(after)})


def _mark(records: Sequence[Record]) -> Put:
    return Put("marks", {"name": mark_name(records[-1].project_id), "position": records[-1].position})


def action_row(action: Action) -> Put:
    """Return the row of an action."""
    return Put(
        "actions",
        {
            "id": action.id,
            "project_id": action.project_id,
            "version": action.version,
            "created_at": micros(action.created_at),
            "created_by": action.created_by,
            "updated_at": micros(action.updated_at),
            "name": action.name,
            "description": action.description,
            "tags": to_json(action.tags),
            "steps": to_json(action.steps),
            "post_to_slack": int(action.post_to_slack),
            "slack_message_format": action.slack_message_format,
            "deleted": int(action.deleted),
        },
    )


def action_from_row(row: Mapping[str, Any]) -> Action:
    """Return the action that a row holds; the inverse of `action_row`."""
    return Action(
        id=row["id"],
        project_id=row["project_id"],
        version=row["version"],
        created_at=instant(row["created_at"]),
        created_by=row["created_by"],
        updated_at=instant(row["updated_at"]),
        name=row["name"],
        description=row["description"],
        tags=tuple(from_json(row["tags"])),
        steps=tuple(from_json(row["steps"])),
        post_to_slack=bool(row["post_to_slack"]),
        slack_message_format=row["slack_message_format"],
        deleted=bool(row["deleted"]),
    )


def cohort_row(cohort: Cohort) -> Put:
    """Return the row of a cohort."""
    return Put(
        "cohorts",
        {
            "id": cohort.id,
            "project_id": cohort.project_id,
            "version": cohort.version,
            "created_at": micros(cohort.created_at),
            "created_by": cohort.created_by,
            "updated_at": micros(cohort.updated_at),
            "name": cohort.name,
            "description": cohort.description,
            "filters": to_json(cohort.filters),
            "old_groups": to_json(cohort.groups),
            "is_static": int(cohort.is_static),
            "deleted": int(cohort.deleted),
            "members_version": cohort.members_version,
            **_calculation_columns(cohort.calculation),
        },
    )


def _calculation_columns(calculation: Calculation) -> dict[str, Any]:
    return {
        "count": calculation.count,
        "calculated_at": None if calculation.at is None else micros(calculation.at),
        "calculated_version": calculation.of_version,
        "n_errors": calculation.n_errors,
        "error": calculation.error,
    }


def cohort_from_row(row: Mapping[str, Any]) -> Cohort:
    """Return the cohort that a row holds; the inverse of `cohort_row`."""
    return Cohort(
        id=row["id"],
        project_id=row["project_id"],
        version=row["version"],
        created_at=instant(row["created_at"]),
        created_by=row["created_by"],
        updated_at=instant(row["updated_at"]),
        name=row["name"],
        description=row["description"],
        filters=from_json(row["filters"]),
        groups=tuple(from_json(row["old_groups"])),
        is_static=bool(row["is_static"]),
        deleted=bool(row["deleted"]),
        members_version=row["members_version"],
        calculation=Calculation(
            row["count"],
            None if row["calculated_at"] is None else instant(row["calculated_at"]),
            row["calculated_version"],
            row["n_errors"],
            row["error"],
        ),
    )
