"""JSON Schemas of what the API takes and answers, by name, for the OpenAPI document (insights-api.md 2, 3, 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ...application.computing import Refresh
from ...application.query_nodes import calculated_classes
from ...domain.insight_commands import MAX_ORDER, MAX_TEXT
from .operations import Schema
from .query_schemas import node_schemas

ANY: Schema = {}
BOOLEAN: Schema = {"type": "boolean"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
OBJECT: Schema = {"type": "object", "additionalProperties": True}


def nullable(schema: Schema) -> Schema:
    """Return a schema that takes null too."""
    kind = schema.get("type")
    if not isinstance(kind, str) or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [kind, "null"]}


def array(items: Schema = ANY, **limits: Any) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **limits}


def one_of(*values: str) -> Schema:
    """Return the schema of a closed set of texts."""
    return {"type": "string", "enum": list(values)}


def ref(name: str) -> Schema:
    """Return a reference to a schema of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def shape(fields: Mapping[str, Schema], *, optional: Iterable[str] = (), is_open: bool = False) -> Schema:
    """Return the schema of an object with exactly these fields, all there but the optional ones.

    With `is_open` there may be further fields.
    """
    left_out = set(optional)
    return {
        "type": "object",
        "properties": dict(fields),
        "required": [name for name in fields if name not in left_out],
        "additionalProperties": is_open,
    }


def accepted(fields: Mapping[str, Schema]) -> Schema:
    """Return the schema of a body: each field may be absent, unknown ones are ignored."""
    return {"type": "object", "properties": dict(fields)}


def page_of(item: Schema) -> Schema:
    """Return the schema of a page of a list (insights-api.md 1.4)."""
    return shape({"count": INTEGER, "next": nullable(TEXT), "previous": nullable(TEXT), "results": array(item)})


MODE = one_of(*get_args(Refresh))
ACCESS_LEVEL = one_of("none", "viewer", "editor", "manager")
_SHORT_TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT}
_SOURCE: Schema = {"anyOf": [ref(kind.__name__) for kind in calculated_classes().values()]}
_QUERY: Schema = {**OBJECT, "properties": {"kind": TEXT, "source": OBJECT}}
_WRAPPERS = ("InsightVizNode", "DataVisualizationNode", "DataTableNode")
_DATE_RANGE = shape({"date_from": nullable(TEXT), "date_to": nullable(TEXT)}, is_open=True)

_IDENTITY: Mapping[str, Schema] = {
    "id": INTEGER,
    "short_id": TEXT,
    "name": nullable(_SHORT_TEXT),
    "derived_name": nullable(_SHORT_TEXT),
    "filters": ANY,
    "query": nullable(OBJECT),
}
_TILES: Mapping[str, Schema] = {"dashboards": array(INTEGER), "dashboard_tiles": array(ref("TileOfInsight"))}

_FULL: Mapping[str, Schema] = {
    **_IDENTITY,
    "order": nullable(INTEGER),
    "deleted": BOOLEAN,
    **_TILES,
    "last_refresh": nullable(MOMENT),
    "cache_target_age": nullable(MOMENT),
    "next_allowed_client_refresh": nullable(MOMENT),
    "result": ANY,
    "hasMore": nullable(BOOLEAN),
    "columns": nullable(array()),
    "created_at": nullable(MOMENT),
    "created_by": nullable(ref("User")),
    "description": nullable(_SHORT_TEXT),
    "updated_at": MOMENT,
    "tags": array(TEXT),
    "favorited": BOOLEAN,
    "saved": BOOLEAN,
    "last_modified_at": nullable(MOMENT),
    "last_modified_by": nullable(ref("User")),
    "is_sample": BOOLEAN,
    "effective_restriction_level": {"type": "integer", "enum": [21, 37]},
    "effective_privilege_level": {"type": "integer", "enum": [21, 37]},
    "user_access_level": nullable(ACCESS_LEVEL),
    "timezone": nullable(TEXT),
    "is_cached": BOOLEAN,
    "query_status": nullable(ref("QueryStatus")),
    "hogql": nullable(TEXT),
    "types": nullable(array()),
    "resolved_date_range": nullable(_DATE_RANGE),
    "alerts": array(),
    "last_viewed_at": nullable(MOMENT),
    "search_match_type": nullable(one_of("exact", "similar")),
    "result_null_reason": TEXT,
    "result::nan": OBJECT,
    "result::inf": OBJECT,
    "filters_hash": nullable(TEXT),
    "color": nullable(TEXT),
    "layouts": nullable(OBJECT),
}
_ONLY_ON_A_DASHBOARD = ("color", "layouts")
_ONLY_ABOUT_RESULT = ("result_null_reason", "result::nan", "result::inf")
_HIDDEN_IN_A_SHARE = ("created_at", "created_by", "last_modified_at", "last_modified_by")

_BASIC: Mapping[str, Schema] = {
    **_IDENTITY,
    **_TILES,
    **{
        name: _FULL[name]
        for name in (
            "description", "last_refresh", "saved", "tags", "updated_at", "created_by", "created_at",
            "last_modified_at",
            "favorited", "user_access_level", "last_viewed_at", "search_match_type",
        )
    },
    "refreshing": BOOLEAN,
}  # fmt: skip

_ACTIVITY_USER = shape({"first_name": TEXT, "email": nullable(TEXT), "is_system": BOOLEAN}, optional=["is_system"])
_CHANGE = shape({"type": TEXT, "action": TEXT, "field": nullable(TEXT), "before": ANY, "after": ANY})
_ENVELOPE: Mapping[str, Schema] = {
    "timezone": nullable(TEXT),
    "is_cached": BOOLEAN,
    "last_refresh": nullable(MOMENT),
    "timings": nullable(array(OBJECT)),
}
_OF_ANSWERS: Mapping[str, Schema] = {
    "columns": nullable(array(ANY)), "types": nullable(array(ANY)), "hasMore": nullable(BOOLEAN),
    "limit": nullable(INTEGER), "offset": nullable(INTEGER), "hogql": nullable(TEXT), "error": nullable(TEXT),
    "timings": nullable(array(OBJECT)), "modifiers": nullable(OBJECT), "resolved_date_range": nullable(_DATE_RANGE),
    "cache_target_age": nullable(MOMENT), "next_allowed_client_refresh": nullable(MOMENT),
}  # fmt: skip
"""What answers to some kinds of queries have."""
_SHARING_INPUT: Mapping[str, Schema] = {
    "enabled": BOOLEAN, "settings": nullable(OBJECT), "password_required": BOOLEAN, "expires_at": nullable(MOMENT),
}  # fmt: skip

_DASHBOARD: Mapping[str, Schema] = {
    "id": INTEGER, "name": _SHORT_TEXT, "description": TEXT, "pinned": BOOLEAN, "created_at": MOMENT,
    "created_by": nullable(ref("User")), "is_shared": BOOLEAN, "deleted": BOOLEAN, "creation_mode": TEXT,
    "filters": OBJECT, "variables": OBJECT, "tags": array(TEXT), "restriction_level": INTEGER,
    "effective_restriction_level": INTEGER, "effective_privilege_level": INTEGER,
    "user_access_level": nullable(ACCESS_LEVEL),
}  # fmt: skip

COMPONENTS: Mapping[str, Schema] = {
    "Error": shape(
        {"type": TEXT, "code": TEXT, "detail": TEXT, "attr": nullable(TEXT), "extra": ANY}, optional=["extra"]
    ),
    "BareError": shape({"error": TEXT}),
    "AnyError": {"anyOf": [ref("Error"), ref("BareError")]},
    "User": shape(
        {
            "id": INTEGER, "uuid": TEXT, "distinct_id": TEXT, "first_name": TEXT, "last_name": TEXT, "email": TEXT,
            "is_email_verified": nullable(BOOLEAN), "hedgehog_config": ANY, "role_at_organization": nullable(TEXT),
        }
    ),
    "TileOfInsight": shape({"id": INTEGER, "dashboard_id": INTEGER, "deleted": nullable(BOOLEAN)}),
    "Insight": shape(_FULL, optional=[*_ONLY_ON_A_DASHBOARD, *_ONLY_ABOUT_RESULT, *_HIDDEN_IN_A_SHARE]),
    "BasicInsight": shape(_BASIC, optional=_HIDDEN_IN_A_SHARE),
    "AnyInsight": {"anyOf": [ref("Insight"), ref("BasicInsight")]},
    "TrendingInsight": shape(
        {
            **_BASIC, "view_count": INTEGER, "viewers": array(nullable(ref("User"))),
            "last_modified_by": nullable(ref("User")),
        }
    ),
    "InsightInput": accepted(
        {
            "name": nullable(_SHORT_TEXT),
            "derived_name": nullable(_SHORT_TEXT),
            "description": nullable(_SHORT_TEXT),
            "filters": {"not": {"type": "null"}},
            "query": nullable(_QUERY),
            "order": nullable({"type": "integer", "minimum": -MAX_ORDER - 1, "maximum": MAX_ORDER}),
            "deleted": BOOLEAN,
            "favorited": BOOLEAN,
            "saved": BOOLEAN,
            "tags": array(TEXT),
            "dashboards": array(INTEGER),
        }
    ),
    "QueryStatus": shape(
        {
            "id": nullable(TEXT),
            "team_id": INTEGER,
            "complete": BOOLEAN,
            "error": BOOLEAN,
            "error_message": nullable(TEXT),
            "results": ANY,
        },
        is_open=True,
    ),
    **node_schemas(calculated_classes().values()),
    **{
        kind: {**OBJECT, "properties": {"kind": one_of(kind), "source": _SOURCE}, "required": ["kind", "source"]}
        for kind in _WRAPPERS
    },
    "SavedInsightNode": {
        **OBJECT,
        "properties": {"kind": one_of("SavedInsightNode"), "shortId": TEXT},
        "required": ["kind", "shortId"],
    },
    "QueryInput": {
        **accepted(
            {
                "query": {"anyOf": [*map(ref, (*_WRAPPERS, "SavedInsightNode")), _SOURCE]},
                "refresh": ANY,
                "async": BOOLEAN,
                "client_query_id": nullable(TEXT),
                "filters_override": nullable(OBJECT),
                "variables_override": nullable(OBJECT),
                "name": nullable({"type": "string", "maxLength": 128}),
            }
        ),
        "required": ["query"],
    },
    "QueryAnswer": shape(
        {
            "results": ANY,
            "cache_key": TEXT,
            "is_cached": BOOLEAN,
            "last_refresh": nullable(MOMENT),
            "timezone": nullable(TEXT),
            "calculation_trigger": nullable(TEXT),
            "query_status": nullable(ref("QueryStatus")),
            **_OF_ANSWERS,
        },
        optional=[
            "results", "cache_key", "is_cached", "last_refresh", "timezone", "calculation_trigger", *_OF_ANSWERS,
        ],
        is_open=True,
    ),
    "LegacyAnswer": shape({"result": ANY, **_ENVELOPE}, optional=["timezone", "timings"]),
    "TrendAnswer": shape({"result": array(OBJECT), **_ENVELOPE, "next": nullable(TEXT)}),
    "Activity": shape(
        {
            "user": _ACTIVITY_USER,
            "activity": TEXT,
            "scope": TEXT,
            "item_id": TEXT,
            "detail": shape(
                {
                    "changes": nullable(array(_CHANGE)), "trigger": ANY, "name": nullable(TEXT),
                    "short_id": nullable(TEXT), "type": nullable(TEXT),
                }
            ),
            "created_at": MOMENT,
        }
    ),
    "ActivityPage": shape(
        {"results": array(ref("Activity")), "next": nullable(TEXT), "previous": nullable(TEXT), "total_count": INTEGER}
    ),
    "SharingInput": accepted(_SHARING_INPUT),
    "Sharing": shape(
        {
            "created_at": nullable(MOMENT),
            "enabled": BOOLEAN,
            "access_token": TEXT,
            "settings": nullable(OBJECT),
            "password_required": BOOLEAN,
            "share_passwords": array(ref("SharePassword")),
            "expires_at": MOMENT,
        },
        optional=["expires_at"],
    ),
    "SharePassword": shape(
        {"id": INTEGER, "created_at": MOMENT, "note": TEXT, "created_by_email": TEXT, "is_active": BOOLEAN}
    ),
    "SharePasswordInput": accepted({"raw_password": nullable(TEXT), "note": nullable(TEXT)}),
    "NewSharePassword": shape(
        {"id": INTEGER, "password": TEXT, "note": TEXT, "created_at": MOMENT, "created_by_email": TEXT}
    ),
    "SeenInput": {
        **accepted({"insight_ids": array(INTEGER, minItems=1, maxItems=2500)}), "required": ["insight_ids"],
    },
    "Dashboard": shape(_DASHBOARD),
    "DashboardWithTiles": shape({**_DASHBOARD, "tiles": array(ref("Tile"))}),
    "Tile": shape(
        {
            "id": INTEGER, "order": INTEGER, "layouts": ANY, "color": nullable(TEXT), "filters_overrides": ANY,
            "deleted": nullable(BOOLEAN), "is_cached": BOOLEAN, "last_refresh": nullable(MOMENT),
            "insight": nullable({"anyOf": [ref("Insight"), ref("HiddenInsight")]}),
            "text": nullable(ref("Text")),
        }
    ),
    "Text": shape(
        {
            "id": INTEGER, "created_by": nullable(ref("User")), "last_modified_by": nullable(ref("User")), "body": TEXT,
            "last_modified_at": MOMENT, "team": INTEGER,
        }
    ),
    "HiddenInsight": shape({"id": INTEGER, "short_id": TEXT, "user_access_level": one_of("none")}),
    "DashboardInput": accepted(
        {
            "name": nullable(_SHORT_TEXT), "description": nullable(TEXT), "pinned": BOOLEAN, "filters": OBJECT,
            "variables": nullable(OBJECT), "tags": array(TEXT), "deleted": BOOLEAN, "tiles": array(OBJECT),
            "restriction_level": {"type": "integer", "enum": [21, 37]},
            "delete_insights": BOOLEAN, "use_dashboard": nullable(INTEGER), "duplicate_tiles": BOOLEAN,
            "use_template": {**TEXT, "maxLength": 0},
        }
    ),
    "AccessControl": shape(
        {
            "access_level": ACCESS_LEVEL, "resource": TEXT, "resource_id": TEXT, "organization_member": nullable(TEXT),
            "role": nullable(TEXT), "created_by": nullable(INTEGER), "created_at": MOMENT, "updated_at": MOMENT,
        }
    ),
    "AccessControls": shape(
        {
            "access_controls": array(ref("AccessControl")), "available_access_levels": array(ACCESS_LEVEL),
            "default_access_level": ACCESS_LEVEL, "minimum_access_level": ACCESS_LEVEL,
            "maximum_access_level": ACCESS_LEVEL, "user_access_level": nullable(ACCESS_LEVEL),
            "user_can_edit_access_levels": BOOLEAN,
        }
    ),
    "AccessControlInput": {
        **accepted(
            {"access_level": nullable(ACCESS_LEVEL), "organization_member": nullable(TEXT), "role": nullable(TEXT)}
        ),
        "required": ["access_level"],
    },
    "UserWithAccess": shape(
        {
            "user_id": INTEGER, "access_level": ACCESS_LEVEL, "access_source": TEXT,
            "organization_membership_id": TEXT, "organization_membership_level": INTEGER,
        }
    ),
    "Project": shape(
        {
            "id": INTEGER, "uuid": TEXT, "organization": TEXT, "api_token": TEXT, "name": TEXT, "timezone": TEXT,
            "week_start_day": INTEGER, "created_at": MOMENT,
        },
        is_open=True,
    ),
    "Organization": shape(
        {
            "id": TEXT, "name": TEXT, "slug": TEXT, "created_at": nullable(MOMENT), "membership_level": INTEGER,
            "teams": array(ref("Project")), "projects": array(ref("Project")), "member_count": INTEGER,
        },
        is_open=True,
    ),
    "Member": shape(
        {"id": TEXT, "user": ref("User"), "level": INTEGER, "joined_at": MOMENT, "updated_at": MOMENT}, is_open=True
    ),
    "Role": shape({"id": TEXT, "name": TEXT, "created_at": MOMENT, "members": array(OBJECT)}),
    "PersonalApiKey": shape(
        {
            "id": TEXT, "label": TEXT, "mask_value": TEXT, "created_at": MOMENT, "last_used_at": nullable(MOMENT),
            "user_id": INTEGER, "scopes": array(TEXT), "scoped_teams": array(INTEGER),
            "scoped_organizations": array(TEXT),
        }
    ),
    "Me": shape(
        {
            "id": INTEGER, "uuid": TEXT, "distinct_id": TEXT, "first_name": TEXT, "email": TEXT,
            "organization": nullable(ref("Organization")), "organizations": array(shape({"id": TEXT, "name": TEXT})),
            "team": nullable(ref("Project")),
        },
        is_open=True,
    ),
}  # fmt: skip
"""The shared schemas; a name is what `ref` takes."""
