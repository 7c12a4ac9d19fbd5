"""ActorsQuery over persons themselves, all of them or those of a HogQL query: its plan and the rows in answers.

Source: PostHog's ActorsQuery without an insight behind it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ..errors import InvalidQuery
from . import sql
from .actor_nodes import ActorsQuery
from .actors import DEFAULT_SELECT, SHOWN_BY, Profile, bare, is_actor, page_size, shown
from .nodes import Properties, PropertyFilter, PropertyGroup
from .plan import Condition
from .properties import all_of, condition
from .resolution import Setting
from .sql_nodes import HogQLQuery
from .sql_plan import PersonListPlan, SqlAnswer

_WHOLE = re.compile(r"^person(?=$| (?:ASC|DESC)$)", re.IGNORECASE)


def plan_of(query: ActorsQuery, setting: Setting, path: str = "query") -> PersonListPlan:
    """Return the plan. Raises InvalidQuery, with its path, for filters that do not read persons and for limits."""
    source = query.source
    offset = query.offset or 0
    if offset < 0:
        raise InvalidQuery("This is 0 or more.", path=f"{path}.offset")
    return PersonListPlan(
        setting.project_id,
        query.select or DEFAULT_SELECT,
        path,
        setting.scope,
        condition=all_of(
            [
                person_condition(query.properties, setting, f"{path}.properties"),
                person_condition(query.fixed_properties, setting, f"{path}.fixedProperties"),
            ]
        ),
        source=sql.plan_of(source, setting, f"{path}.source") if isinstance(source, HogQLQuery) else None,
        search=(query.search or "").strip() or None,
        order_by=query.order_by and tuple(_WHOLE.sub(SHOWN_BY["person"], text) for text in query.order_by),
        limit=page_size(query.limit, path),
        offset=offset,
    )


def person_condition(properties: Properties | None, setting: Setting, path: str) -> Condition:
    """Return what persons must fulfil; a filter without a type is about persons. Raises InvalidQuery for others."""
    return condition(_of_persons(properties, path), path=path, scope=setting.scope)


def _of_persons(properties: Any, path: str) -> Any:
    if isinstance(properties, PropertyGroup):
        values = tuple(_of_persons(one, f"{path}.values[{place}]") for place, one in enumerate(properties.values))
        return evolve(properties, values=values)
    if isinstance(properties, PropertyFilter):
        kind = properties.type or "person"
        if kind not in ("person", "cohort", "static-cohort", "precalculated-cohort", "hogql"):
            raise InvalidQuery("Persons are filtered by person properties, cohorts and HogQL.", path=f"{path}.type")
        return evolve(properties, type=kind)
    if isinstance(properties, tuple):
        return tuple(_of_persons(one, f"{path}[{place}]") for place, one in enumerate(properties))
    return properties


def rows(query: ActorsQuery, answer: SqlAnswer, profiles: Mapping[str, Profile]) -> list[list[Any]]:
    """Return the rows with persons as objects; `profiles` are those of the answer, by uuid."""
    names = query.select or DEFAULT_SELECT
    places = [place for place, name in enumerate(names) if is_actor(name)]
    named = [place for place, name in enumerate(names) if bare(name) == "person_display_name"]
    found = []
    for row in answer.rows:
        cells = list(row)
        for place in places:
            profile = profiles.get(row[place])
            cells[place] = {"id": row[place]} if profile is None else shown(profile, None)
        for place in named:
            cells[place] = dict(zip(("display_name", "id"), row[place], strict=True))
        found.append(cells)
    return found


def uuids(query: ActorsQuery, answer: SqlAnswer) -> list[str]:
    """Return the uuids of the persons that are shown as objects."""
    names = query.select or DEFAULT_SELECT
    place = next((place for place, name in enumerate(names) if is_actor(name)), None)
    return [] if place is None else [row[place] for row in answer.rows]
