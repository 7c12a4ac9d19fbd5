"""Cohorts over HTTP: list, create, retrieve, update, delete softly, who is in them, and lists of persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import falcon

from ...application.cohorts import MAX_PAGE
from ...application.json_values import iso
from ...application.library import Project
from ...application.model import User
from ...domain.cohort import Cohort
from ...domain.errors import InvalidInput
from ...domain.queries.actors import shown
from . import rendering
from .actions import ALLOWED, SEARCH, level_of
from .bodies import json_body
from .definition_bodies import cohort_fields, cohort_form, is_form, names_in, persons_of_csv
from .definition_schemas import COHORT, COHORT_INPUT, DONE, PERSON, PERSON_INPUT, PERSONS_INPUT
from .errors import BareNotFound
from .operations import operation
from .parameters import PAGE, page_window
from .presenting import Presenter
from .schemas import page_of

DEFAULT_PAGE = 100


class CohortList:
    """`/cohorts/`."""

    def __init__(self, present: Presenter, site_url: str | None) -> None:
        self._site_url = site_url
        self._present = present

    @operation(answer=page_of(COHORT), query=(*PAGE, SEARCH))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List, newest first."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        page = project.cohorts.list(search=req.get_param("search"), limit=limit, offset=offset)
        users = self._present.users(req, (), (one.created_by for one in page if one.created_by))
        results = [representation(one, users, project) for one in page]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, page.count, limit, offset, results))

    @operation(answer=COHORT, status=201, body=COHORT_INPUT)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Create; a form with a file `csv` makes a static one of the persons in it. Members are counted by and by."""
        body, file = cohort_form(req) if is_form(req) else (json_body(req), None)
        listed = () if file is None else _distinct_ids(project, *persons_of_csv(file))
        made = project.cohorts.service.create(cohort_fields(body), req.context.by, listed)
        project.cohorts.service.start(made)
        resp.status = falcon.HTTP_201
        rendering.write_json(resp, _one(self._present, req, project, made))


class CohortItem:
    """`/cohorts/:id/`."""

    def __init__(self, present: Presenter) -> None:
        self._present = present

    @operation(answer=COHORT)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, cohort_id: str) -> None:
        """Retrieve; members that were never counted since the last change are counted now, in the background."""
        found = project.cohorts.service.get(cohort_id)
        if not found.is_calculated:
            project.cohorts.service.start(found)
        rendering.write_json(resp, _one(self._present, req, project, found))

    @operation(answer=COHORT, body=COHORT_INPUT)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, cohort_id: str) -> None:
        """Update, and count the members anew; `deleted` deletes softly and restores.

        A form with a file `csv` puts the persons in it on the list of a static cohort.
        """
        body, file = cohort_form(req) if is_form(req) else (json_body(req), None)
        listed = () if file is None else _distinct_ids(project, *persons_of_csv(file))
        service = project.cohorts.service
        after = service.update(cohort_id, cohort_fields(body), req.context.by)
        if listed:
            after = service.add(cohort_id, listed, req.context.by)
        if not after.deleted:
            service.start(after)
        rendering.write_json(resp, _one(self._present, req, project, after))

    on_put = on_patch

    @operation(status=405)
    def on_delete(self, _req: falcon.Request, resp: falcon.Response, project: Project, cohort_id: str) -> None:
        """Refuse: cohorts are deleted softly, by PATCH."""
        del project, cohort_id
        resp.status = falcon.HTTP_405
        resp.set_header("Allow", ALLOWED)


class CohortPersons:
    """`/cohorts/:id/persons/`."""

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(answer=page_of(PERSON), query=(*PAGE, SEARCH))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, cohort_id: str) -> None:
        """List who is in the cohort now, newest first; `search` looks into distinct ids, e-mail addresses and names."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        search = req.get_param("search")
        page = project.cohorts.service.persons(cohort_id, limit=limit, offset=offset, search=search)
        results = [shown(one, None) | {"matched_recordings": [], "value_at_data_point": None} for one in page]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, page.count, limit, offset, results))


class CohortAdd:
    """`/cohorts/:id/add_persons_to_static_cohort/`."""

    @operation(answer=DONE, body=PERSONS_INPUT)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, cohort_id: str) -> None:
        """Put persons on the list, by uuid or distinct id; those who do not exist are passed over."""
        service = project.cohorts.service
        names = [*_distinct_ids(project, "person_id", names_in(req, "person_ids")), *names_in(req, "distinct_ids")]
        service.start(service.add(cohort_id, names, req.context.by))
        rendering.write_json(resp, {"success": True})

    on_post = on_patch


class CohortRemove:
    """`/cohorts/:id/remove_person_from_static_cohort/`."""

    @operation(answer=DONE, body=PERSON_INPUT)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, cohort_id: str) -> None:
        """Take a person off the list, by uuid."""
        service = project.cohorts.service
        wanted = names_in(req, "person_id")
        if len(wanted) != 1:
            raise InvalidInput("This field is required.", path="person_id", code="required")
        found = service.distinct_ids_of("person_id", wanted)
        if not found:
            raise BareNotFound
        service.start(service.remove(cohort_id, [name for names in found.values() for name in names], req.context.by))
        rendering.write_json(resp, {"success": True})

    on_post = on_patch


def _distinct_ids(project: Project, kind: str, names: Sequence[str]) -> Sequence[str]:
    """Return a distinct id of each person that is told by uuid or e-mail address; distinct ids as they are."""
    if kind == "distinct_id" or not names:
        return names
    return [owned[0] for owned in project.cohorts.service.distinct_ids_of(kind, names).values() if owned]


def _one(present: Presenter, req: falcon.Request, project: Project, cohort: Cohort) -> dict[str, Any]:
    return representation(cohort, present.users(req, (), (cohort.created_by,) if cohort.created_by else ()), project)


def representation(cohort: Cohort, users: Mapping[int, User], project: Project) -> dict[str, Any]:
    """Return the representation of a cohort."""
    calculation = cohort.calculation
    return {
        "id": cohort.id,
        "name": cohort.name,
        "description": cohort.description,
        "groups": list(cohort.groups),
        "filters": cohort.filters,
        "query": None,
        "is_static": cohort.is_static,
        "cohort_type": "static" if cohort.is_static else "dynamic",
        "deleted": cohort.deleted,
        "is_calculating": project.cohorts.service.is_calculating(cohort),
        "count": calculation.count,
        "last_calculation": iso(calculation.at),
        "errors_calculating": calculation.n_errors,
        "last_error_message": calculation.error,
        "created_at": iso(cohort.created_at),
        "created_by": rendering.user(users.get(cohort.created_by or 0)),
        "experiment_set": [],
        "user_access_level": level_of(project, cohort.created_by),
    }
