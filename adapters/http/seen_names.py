"""Definitions over HTTP: the names of events and properties that a project has received, with their types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import falcon

from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...application.model import User
from ...application.product_reads import KINDS, MAX_PAGE
from ...domain.definitions import SeenEvent, SeenProperty, definition_id
from ...domain.errors import InvalidInput
from ...domain.name_definitions import EVENTS as KIND_OF_EVENTS
from ...domain.name_definitions import FIELDS
from . import rendering
from .bodies import json_body
from .errors import BareNotFound
from .operations import Parameter, operation
from .parameters import PAGE, flag, page_window, texts
from .schemas import BOOLEAN, INTEGER, MOMENT, TEXT, accepted, array, nullable, one_of, page_of, ref, shape

DEFAULT_PAGE = 100
TYPES = ("String", "Numeric", "Boolean", "DateTime", "Duration")
ORDERS: dict[str, tuple[Callable[[SeenEvent], Any], bool]] = {
    "name": (lambda one: one.name, False),
    "-name": (lambda one: one.name, True),
    "last_seen_at": (lambda one: one.last_seen, False),
    "-last_seen_at": (lambda one: one.last_seen, True),
}
_NOBODY = ("owner", "created_by", "verified_by")
EVENT_DEFINITION = shape(
    {
        "id": TEXT, "name": TEXT, "description": TEXT, "tags": array(TEXT), "created_at": MOMENT,
        "updated_at": MOMENT, "last_updated_at": MOMENT, "first_seen_at": MOMENT, "last_seen_at": MOMENT,
        "verified": BOOLEAN, "hidden": BOOLEAN, "is_action": BOOLEAN, "action_id": nullable(INTEGER),
        **{name: {"type": "null"} for name in _NOBODY}, "updated_by": nullable(ref("User")),
    }
)  # fmt: skip
PROPERTY_DEFINITION = shape(
    {
        "id": TEXT, "name": TEXT, "description": TEXT, "tags": array(TEXT), "property_type": nullable(one_of(*TYPES)),
        "is_numerical": BOOLEAN, "is_seen_on_filtered_events": nullable(BOOLEAN), "updated_at": MOMENT,
        "first_seen_at": MOMENT, "last_seen_at": MOMENT, "verified": BOOLEAN, "hidden": BOOLEAN,
        "updated_by": nullable(ref("User")),
    }
)  # fmt: skip
_SAID: dict[str, Any] = {"description": nullable(TEXT), "tags": array(TEXT), "verified": BOOLEAN, "hidden": BOOLEAN}
EVENT_DEFINITION_INPUT = accepted(_SAID)
PROPERTY_DEFINITION_INPUT = accepted({**_SAID, "property_type": nullable(one_of(*TYPES))})
SEARCH = Parameter("search", TEXT, "Only names that contain this text.")
EVENTS = (SEARCH, Parameter("ordering", one_of(*ORDERS), "Default: by name."), *PAGE)
PROPERTIES = (
    SEARCH,
    Parameter("type", one_of("event", "person", "group"), "What the properties belong to; events by default."),
    Parameter("group_type_index", INTEGER, "The type of groups, 0 to 4."),
    Parameter(
        "event_names", array(TEXT), "Say of each property whether one of these events had it.", is_json_text=True
    ),
    Parameter("filter_by_event_names", BOOLEAN, "Leave out those that none of them had."),
    Parameter("properties", TEXT, "Only properties of these names, with commas between."),
    Parameter("excluded_properties", array(TEXT), "None of these names.", is_json_text=True),
    Parameter("is_numerical", BOOLEAN, "Only numbers, or none."),
    Parameter("is_feature_flag", BOOLEAN, "Only properties of feature flags, or none."),
    *PAGE,
)
T = TypeVar("T", SeenEvent, SeenProperty)


class Saying:
    """What people say of names, as it is shown."""

    def __init__(self, log: Insightlog) -> None:
        self._log = log

    def shown(self, project: Project) -> Callable[[str, str], dict[str, Any]]:
        """Return what gives the fields that were said of a name."""
        said = self._log.names_of(project.id).said()
        users = {one.id: one for one in self._log.users()} if said else {}
        return lambda kind, name: self._fields(said.get((kind, name), {}), users)

    def say(self, req: falcon.Request, project: Project, kind: str, name: str) -> dict[str, Any]:
        """Say what the body says, and return all the fields. Raises `InvalidInput`."""
        said = self._log.names_of(project.id).define(kind, name, json_body(req), req.context.by)
        return self._fields(said, {one.id: one for one in self._log.users()})

    @staticmethod
    def _fields(said: Mapping[str, Any], users: Mapping[int, User]) -> dict[str, Any]:
        if not said:
            return {}
        shown = {field: said[field] for field in FIELDS if field in said}
        if "property_type" in shown:
            shown["is_numerical"] = shown["property_type"] == "Numeric"
        by = rendering.user(users.get(said["updated_by"] or 0))
        return shown | {"updated_at": iso(said["updated_at"]), "updated_by": by}


class EventDefinitionList:
    """`/event_definitions/`."""

    def __init__(self, log: Insightlog, site_url: str | None) -> None:
        self._said = Saying(log)
        self._site_url = site_url

    @operation(answer=page_of(EVENT_DEFINITION), query=EVENTS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the names of events that were received."""
        found = project.captured.event_definitions(req.get_param("search"))
        ordering = req.get_param("ordering")
        if ordering:
            if ordering not in ORDERS:
                raise InvalidInput(f"Order by one of {', '.join(ORDERS)}.", path="ordering")
            key, is_falling = ORDERS[ordering]
            found = sorted(found, key=key, reverse=is_falling)
        shown = self._said.shown(project)
        _write_page(
            req, resp, self._site_url, found, lambda one: _event(project.id, one) | shown(KIND_OF_EVENTS, one.name)
        )


class EventDefinitionNamed:
    """`/event_definitions/by_name/`."""

    def __init__(self, log: Insightlog) -> None:
        self._said = Saying(log)

    @operation(answer=EVENT_DEFINITION, query=(Parameter("name", TEXT, "The name of the event, to the letter."),))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Retrieve by name."""
        name = req.get_param("name")
        if not name:
            raise InvalidInput("This field is required.", path="name", code="required")
        found = next((one for one in project.captured.event_definitions(name) if one.name == name), None)
        if found is None:
            raise BareNotFound
        rendering.write_json(resp, _event(project.id, found) | self._said.shown(project)(KIND_OF_EVENTS, name))


class EventDefinitionItem:
    """`/event_definitions/:id/`."""

    def __init__(self, log: Insightlog) -> None:
        self._said = Saying(log)

    @operation(answer=EVENT_DEFINITION)
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project, definition: str) -> None:
        """Retrieve by id."""
        found = self._found(project, definition)
        rendering.write_json(resp, found | self._said.shown(project)(KIND_OF_EVENTS, found["name"]))

    @operation(answer=EVENT_DEFINITION, body=EVENT_DEFINITION_INPUT)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, definition: str) -> None:
        """Say something about the name."""
        found = self._found(project, definition)
        rendering.write_json(resp, found | self._said.say(req, project, KIND_OF_EVENTS, found["name"]))

    on_put = on_patch

    @staticmethod
    def _found(project: Project, definition: str) -> Any:
        found = (_event(project.id, one) for one in project.captured.event_definitions())
        return _with_id(found, definition)


class PropertyDefinitionList:
    """`/property_definitions/`."""

    def __init__(self, log: Insightlog, site_url: str | None) -> None:
        self._said = Saying(log)
        self._site_url = site_url

    @operation(answer=page_of(PROPERTY_DEFINITION), query=PROPERTIES)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the properties that were received, each with the type of its first value."""
        kind, group = req.get_param("type") or "event", req.get_param("group_type_index") or "0"
        if kind == "group":
            kind = f"group_{group}"
        events = texts(req, "event_names")
        found = project.captured.property_definitions(kind, search=req.get_param("search"), events=events or None)
        shown = self._said.shown(project)
        kept = _chosen(req, found)
        _write_page(req, resp, self._site_url, kept, lambda one: _property(project.id, one) | shown(kind, one.name))


class PropertyDefinitionItem:
    """`/property_definitions/:id/`."""

    def __init__(self, log: Insightlog) -> None:
        self._said = Saying(log)

    @operation(answer=PROPERTY_DEFINITION)
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project, definition: str) -> None:
        """Retrieve by id."""
        kind, found = self._found(project, definition)
        rendering.write_json(resp, found | self._said.shown(project)(kind, found["name"]))

    @operation(answer=PROPERTY_DEFINITION, body=PROPERTY_DEFINITION_INPUT)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, definition: str) -> None:
        """Say something about the name; queries read the property by the type that is given."""
        kind, found = self._found(project, definition)
        rendering.write_json(resp, found | self._said.say(req, project, kind, found["name"]))

    on_put = on_patch

    @staticmethod
    def _found(project: Project, definition: str) -> tuple[str, Any]:
        for kind in KINDS:
            for one in project.captured.property_definitions(kind):
                if str(definition_id(project.id, kind, one.name)) == definition.lower():
                    return kind, _property(project.id, one)
        raise BareNotFound


def _chosen(req: falcon.Request, found: Sequence[SeenProperty]) -> list[SeenProperty]:
    """Return those that the request's filters let through."""
    names, excluded = req.get_param("properties"), texts(req, "excluded_properties")
    wanted = None if names is None else set(names.split(","))
    only_seen, is_numerical = flag(req, "filter_by_event_names"), flag(req, "is_numerical")
    is_flag = flag(req, "is_feature_flag")
    return [
        one
        for one in found
        if (wanted is None or one.name in wanted)
        and one.name not in excluded
        and not (only_seen and one.is_seen_on is False)
        and is_numerical in (None, one.property_type == "Numeric")
        and is_flag in (None, one.name.startswith("$feature/"))
    ]


def _write_page(
    req: falcon.Request, resp: falcon.Response, site_url: str | None, found: Sequence[T], show: Callable[[T], Any]
) -> None:
    limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
    results = [show(one) for one in found[offset : offset + limit]]
    rendering.write_json(resp, rendering.envelope(req, site_url, len(found), limit, offset, results))


def _with_id(found: Any, wanted: str) -> Any:
    for one in found:
        if one["id"] == wanted.lower():
            return one
    raise BareNotFound


def _event(project_id: int, one: SeenEvent) -> dict[str, Any]:
    return {
        **_common(project_id, "events", one),
        "created_at": iso(one.known_at),
        "last_updated_at": iso(one.known_at),
        "is_action": False,
        "action_id": None,
        "updated_by": None,
        **dict.fromkeys(_NOBODY),
    }


def _property(project_id: int, one: SeenProperty) -> dict[str, Any]:
    return {
        **_common(project_id, one.kind, one),
        "property_type": one.property_type,
        "is_numerical": one.property_type == "Numeric",
        "is_seen_on_filtered_events": one.is_seen_on,
        "updated_by": None,
    }


def _common(project_id: int, kind: str, one: SeenEvent | SeenProperty) -> dict[str, Any]:
    return {
        "id": str(definition_id(project_id, kind, one.name)),
        "name": one.name,
        "description": "",
        "tags": [],
        "updated_at": iso(one.known_at),
        "first_seen_at": iso(one.first_seen),
        "last_seen_at": iso(one.last_seen),
        "verified": False,
        "hidden": False,
    }
