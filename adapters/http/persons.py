"""Persons over HTTP: a list, one person, and the values that a property of persons has."""

from __future__ import annotations

import falcon

from ...application.library import Project
from ...application.product_reads import MAX_PAGE
from ...domain.errors import InvalidInput
from ...domain.queries.actors import shown
from . import rendering
from .errors import BareNotFound
from .operations import Parameter, operation
from .parameters import PAGE, page_window
from .product_events import DEFAULT_PAGE, NAMED, PROPERTIES, VALUES, write_values
from .schemas import BOOLEAN, INTEGER, MOMENT, OBJECT, TEXT, array, one_of, page_of, shape

PERSON = shape(
    {
        "id": TEXT, "type": one_of("person"), "uuid": TEXT, "name": TEXT, "distinct_ids": array(TEXT),
        "properties": OBJECT, "is_identified": BOOLEAN, "created_at": MOMENT,
    }
)  # fmt: skip
PERSONS = (
    Parameter("search", TEXT, "Only persons with this text in a distinct id, or in the property email or name."),
    Parameter("email", TEXT, "Only persons with this e-mail address."),
    Parameter("distinct_id", TEXT, "Only the person who has this distinct id."),
    Parameter("cohort", INTEGER, "Only members of this cohort."),
    PROPERTIES,
    *PAGE,
)


class PersonList:
    """`/persons/`."""

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(answer=page_of(PERSON), query=PERSONS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List, newest first; persons without a stored profile are no persons."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        cohort = req.get_param("cohort")
        page = project.captured.persons(
            search=req.get_param("search") or None,
            email=req.get_param("email") or None,
            distinct_id=req.get_param("distinct_id") or None,
            cohort=_id(cohort) if cohort else None,
            properties=req.get_param("properties"),
            limit=limit,
            offset=offset,
        )
        results = [shown(one, None) for one in page]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, page.count, limit, offset, results))


class PersonItem:
    """`/persons/:id/`."""

    @operation(answer=PERSON)
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project, person_id: str) -> None:
        """Retrieve a person by uuid or by a distinct id."""
        found = project.captured.person(person_id)
        if found is None:
            raise BareNotFound
        rendering.write_json(resp, shown(found, None))


class PersonValues:
    """`/persons/values/`."""

    @operation(answer=NAMED, query=VALUES)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Return the most frequent values of a property of persons."""
        write_values(req, resp, project, "person")


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise InvalidInput("A valid integer is required.", path="cohort")
    return int(text)
