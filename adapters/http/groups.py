"""Groups and group types over HTTP: what there is, and what the types are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from ...application.json_values import iso
from ...application.library import Project
from ...domain.errors import InvalidInput
from ...domain.queries.actors import Profile
from . import rendering
from .bodies import integer, json_list
from .operations import Parameter, operation
from .parameters import page_window
from .schemas import INTEGER, MOMENT, OBJECT, TEXT, accepted, array, nullable, shape

MAX_PAGE = 1000
DEFAULT_PAGE = 100
TYPE: Any = shape(
    {
        "group_type": TEXT, "group_type_index": INTEGER, "name_singular": nullable(TEXT), "name_plural": nullable(TEXT),
        "detail_dashboard": nullable(INTEGER), "default_columns": nullable(array(TEXT)),
        "created_at": nullable(MOMENT),
    }
)  # fmt: skip
GROUP: Any = shape({"group_type_index": INTEGER, "group_key": TEXT, "group_properties": OBJECT, "created_at": MOMENT})
NAMES: Any = array(
    {
        **accepted({"group_type_index": INTEGER, "name_singular": nullable(TEXT), "name_plural": nullable(TEXT)}),
        "required": ["group_type_index"],
    }
)
INDEX = Parameter("group_type_index", INTEGER, "Of which type, 0 to 4.")
KEY = Parameter("group_key", TEXT, "The key that events tell the group by.")
LIST = (
    INDEX,
    Parameter("search", TEXT, "Part of the key or the name, whatever its case."),
    Parameter("limit", INTEGER, "How many groups a page holds, at most 1000."),
    Parameter("offset", INTEGER, "How many to skip."),
)


class GroupTypes:
    """`/groups_types/`."""

    @operation(answer=array(TYPE))
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the types that events have named, by index."""
        rendering.write_json(resp, _types(project))


class GroupTypeNames:
    """`/groups_types/update_metadata/`."""

    @operation(answer=array(TYPE), body=NAMES)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Say what types are called; answers with all of them."""
        names: dict[int, dict[str, str | None]] = {}
        for place, item in enumerate(json_list(req)):
            if not isinstance(item, dict) or "group_type_index" not in item:
                raise InvalidInput("A group type is told by its index.", path=f"[{place}].group_type_index")
            index = integer(item["group_type_index"], f"[{place}].group_type_index")
            names[index] = {name: item[name] for name in ("name_singular", "name_plural") if name in item}
        by = req.context.by
        project.groups.rename(names, by=by.actor, request=by.request)
        rendering.write_json(resp, _types(project))


class GroupList:
    """`/groups/`."""

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(answer=shape({"next": nullable(TEXT), "previous": nullable(TEXT), "results": array(GROUP)}), query=LIST)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the groups of a type, newest first."""
        index = _index(req)
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        found = project.groups.list(index, search=req.get_param("search"), limit=limit + 1, offset=offset)
        count = offset + len(found)
        page = rendering.envelope(req, self._site_url, count, limit, offset, [_group(one, index) for one in found])
        page["results"] = page["results"][:limit]
        del page["count"]
        rendering.write_json(resp, page)


class GroupFind:
    """`/groups/find/`."""

    @operation(answer=GROUP, query=(INDEX, KEY))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Retrieve one group."""
        index, key = _index(req), req.get_param("group_key")
        if not key:
            raise InvalidInput("This field is required.", path="group_key", code="required")
        rendering.write_json(resp, _group(project.groups.get(index, key), index))


def _index(req: falcon.Request) -> int:
    text = req.get_param("group_type_index")
    if not text:
        raise InvalidInput("This field is required.", path="group_type_index", code="required")
    return integer(text, "group_type_index")


def _types(project: Project) -> list[dict[str, Any]]:
    return [
        {
            "group_type": one.name,
            "group_type_index": one.index,
            "name_singular": one.singular,
            "name_plural": one.plural,
            "detail_dashboard": None,
            "default_columns": None,
            "created_at": None,
        }
        for one in project.groups.types()
    ]


def _group(group: Profile, index: int) -> Mapping[str, Any]:
    return {
        "group_type_index": index,
        "group_key": group.uuid,
        "group_properties": dict(group.properties),
        "created_at": iso(group.created_at),
    }
