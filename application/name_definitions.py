"""What people say of the names that events use: kept in the log, laid over what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from ..domain.name_definitions import define_name, stream_of
from .execution import By, Executor
from .ports import Append, Row, StreamEvents, Views
from .views.listing import from_json
from .views.tables import instant

Said = Mapping[tuple[str, str], Row]
"""By kind and name: `description`, `tags`, `verified`, `hidden`, `property_type`, `updated_at`, `updated_by`."""


@frozen
class NameDefinitions:
    """What is said of the names of one project."""

    project_id: int
    executor: Executor
    views: Views

    def said(self) -> Said:
        """Return everything that was said."""
        return said_of(self.views.said_names(self.project_id))

    def define(self, kind: str, name: str, given: Mapping[str, Any], by: By) -> Row:
        """Change what is said of a name and return it; fields that there are not are ignored. Raises `InvalidInput`."""
        before = self.said().get((kind, name), {})
        event = define_name(kind, name, given, before)
        if event is not None:
            items = (StreamEvents(stream_of(self.project_id), (event,)),)
            self.executor.append(Append(items, by.actor, self.project_id, by.request))
        return self.said().get((kind, name), {})


def said_of(rows: Iterable[Row]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the rows of the view say, with who said the last of it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["updated_at"]):
        one = found.setdefault((row["kind"], row["name"]), {})
        one |= {row["field"]: from_json(row["value"])}
        one |= {"updated_at": instant(row["updated_at"]), "updated_by": row["updated_by"]}
    return found
