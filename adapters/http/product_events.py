"""Captured events over HTTP, one by one: a list, one event, and the values that a property has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import falcon

from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...application.product_reads import MAX_PAGE, FoundEvent
from ...domain.elements import elements_of
from ...domain.errors import InvalidInput
from ...domain.queries.actors import Profile
from . import rendering
from .bodies import integer
from .errors import BareNotFound
from .operations import Parameter, operation
from .parameters import PAGE, moment, page_window, texts
from .schemas import BOOLEAN, INTEGER, MOMENT, OBJECT, TEXT, array, nullable, shape

DEFAULT_PAGE = 100
PROPERTIES = Parameter("properties", {}, "Property filters: a list, an object or a group.", is_json_text=True)
NEXT: dict[str, Any] = {"next": nullable(TEXT), "previous": nullable(TEXT)}
EVENT = shape(
    {
        "id": TEXT, "distinct_id": TEXT, "properties": OBJECT, "event": TEXT, "timestamp": MOMENT,
        "person": nullable(shape(
            {"uuid": TEXT, "is_identified": BOOLEAN, "distinct_ids": array(TEXT), "properties": OBJECT}
        )),
        "elements": array(OBJECT), "elements_chain": TEXT,
    }
)  # fmt: skip
EVENTS = (
    Parameter("event", TEXT, "Only events of this name."),
    Parameter("distinct_id", TEXT, "Only events of the person who has this distinct id."),
    Parameter("person_id", TEXT, "Only events of the person with this uuid."),
    Parameter("action_id", INTEGER, "Only events that belong to this action."),
    PROPERTIES,
    Parameter("orderBy", TEXT, 'timestamp or ["timestamp"]: oldest first; default: newest first.'),
    Parameter("after", TEXT, "Only events later than this; a date or relative, as in -7d."),
    Parameter("before", TEXT, "Only events earlier than this."),
    *PAGE,
)
VALUES = (
    Parameter("key", TEXT, "The name of the property."),
    Parameter("value", TEXT, "Only values that contain this text."),
)
ORDERS = {"-timestamp": False, "timestamp DESC": False, "timestamp": True, "timestamp ASC": True}
"""What `orderBy` may name first, and whether it means oldest first."""
EVENT_NAME = Parameter("event_name", TEXT, "Only events of this name; again for several, or as a JSON array.")
CUSTOM_EVENT = "custom_event"
"""What is asked for in place of a property: the names of events that are not of an SDK's own."""
NAMED = array(shape({"name": TEXT}))


class EventList:
    """`/events/`."""

    def __init__(self, log: Insightlog, site_url: str | None) -> None:
        self._log = log
        self._site_url = site_url

    @operation(answer=shape({**NEXT, "results": array(EVENT)}), query=EVENTS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List, newest first unless told otherwise; later pages leave out what comes in after the first one."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        now = self._log.now()
        action = req.get_param("action_id")
        oldest_first = _is_oldest_first(req)
        found = project.captured.events(
            event=req.get_param("event") or None,
            distinct_id=req.get_param("distinct_id") or None,
            person=req.get_param("person_id") or None,
            action_id=integer(action, "action_id") if action else None,
            properties=req.get_param("properties"),
            after=moment(req, "after", now, project.timezone),
            before=moment(req, "before", now, project.timezone),
            oldest_first=oldest_first,
            limit=limit + 1,
            offset=offset,
        )
        following = None
        if len(found) > limit:
            changes: dict[str, Any] = {"limit": limit, "offset": offset + limit}
            if not oldest_first and not req.get_param("before"):  # what arrives meanwhile shall not move the pages
                changes["before"] = iso(found[0].timestamp + timedelta(microseconds=1))
            following = rendering.url_with(req, self._site_url, **changes)
        results = [_shown(one) for one in found[:limit]]
        rendering.write_json(resp, {"next": following, "previous": None, "results": results})


class EventItem:
    """`/events/:id/`."""

    @operation(answer=EVENT)
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project, event_id: str) -> None:
        """Retrieve an event by its uuid."""
        found = project.captured.event(event_id)
        if found is None:
            raise BareNotFound
        rendering.write_json(resp, _shown(found))


class EventValues:
    """`/events/values/`."""

    @operation(answer=NAMED, query=(*VALUES, EVENT_NAME))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Return the most frequent values of a property among the latest events; of `custom_event`, events' names."""
        if req.get_param("key") == CUSTOM_EVENT:
            seen = project.captured.event_definitions(req.get_param("value") or None)
            names = [{"name": one.name} for one in seen if not one.name.startswith("$")]
            rendering.write_json(resp, names)
            return
        write_values(req, resp, project, "event", _event_names(req))


def _event_names(req: falcon.Request) -> tuple[str, ...]:
    """Return the names that a parameter gives, each time one, or all in a JSON array. Raises `InvalidInput`."""
    given = req.params.get(EVENT_NAME.name)
    if isinstance(given, str) and given.startswith("["):
        return texts(req, EVENT_NAME.name)
    return tuple(given) if isinstance(given, list) else (given,) if given else ()


def _is_oldest_first(req: falcon.Request) -> bool:
    """Return which way `orderBy` goes, a JSON array or one plain word. Raises `InvalidInput`."""
    text = req.get_param("orderBy")
    if not text:
        return False
    names = texts(req, "orderBy") if text.startswith("[") else (text,)
    first = names[0] if names else "-timestamp"
    if first not in ORDERS:
        raise InvalidInput(f"Order by one of {', '.join(ORDERS)}.", path="orderBy")
    return ORDERS[first]


def write_values(
    req: falcon.Request, resp: falcon.Response, project: Project, kind: str, events: tuple[str, ...] = ()
) -> None:
    """Answer with the values of the property that the request names. Raises `InvalidInput` without one."""
    key = req.get_param("key")
    if not key:
        raise InvalidInput("You must provide a key", path="key", code="required")
    found = project.captured.values(kind, key, search=req.get_param("value"), events=events)
    rendering.write_json(resp, [{"name": value} for value in found])


def _shown(found: FoundEvent) -> dict[str, Any]:
    return {
        "id": found.uuid,
        "distinct_id": found.distinct_id,
        "properties": found.properties,
        "event": found.event,
        "timestamp": iso(found.timestamp),
        "person": None if found.person is None else _person(found.person),
        "elements": elements_of(found.elements_chain),
        "elements_chain": found.elements_chain,
    }


def _person(profile: Profile) -> dict[str, Any]:
    return {
        "uuid": profile.uuid,
        "is_identified": profile.is_identified,
        "distinct_ids": list(profile.distinct_ids),
        "properties": profile.properties,
    }
