"""Representations: from insights, users, entries and results to the JSON of the contract. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import falcon
import orjson
from attrs import frozen

from ...application.calculation import filters_to_query
from ...application.json_values import iso
from ...application.model import Activity, User
from ...domain.errors import InvalidQuery
from ...domain.insight import Insight
from ...domain.sharing import Sharing
from .formats import ASKED_PATH

EVERYONE_CAN_EDIT = 21
CAN_EDIT = 37

Users = Mapping[int, User]


@frozen
class Result:
    """What an insight shows of its calculation (insights-api.md 4.4)."""

    body: Mapping[str, Any]
    timezone: str | None = None
    """The project's zone when a refresh was asked for."""

    def fields(self) -> dict[str, Any]:
        """Return the fields of an insight that come from its result; those of a miss are null."""
        body = self.body
        return {
            "last_refresh": body.get("last_refresh"),
            "cache_target_age": body.get("cache_target_age"),
            "next_allowed_client_refresh": body.get("next_allowed_client_refresh"),
            "result": body.get("results"),
            "hasMore": body.get("hasMore"),
            "columns": body.get("columns"),
            "timezone": self.timezone or body.get("timezone"),
            "is_cached": bool(body.get("is_cached")),
            "query_status": body.get("query_status"),
            "hogql": body.get("hogql"),
            "types": body.get("types"),
            "resolved_date_range": body.get("resolved_date_range"),
            "filters_hash": body.get("cache_key"),
        }


def full(
    insight: Insight,
    result: Result,
    users: Users,
    *,
    viewer: int | None,
    last_viewed_at: datetime | None = None,
    match: str | None = None,
) -> dict[str, Any]:
    """Return the full representation, keys in the contract's order (insights-api.md 2.1)."""
    of = result.fields()
    return {
        "id": insight.id,
        "short_id": insight.short_id,
        "name": insight.name,
        "derived_name": insight.derived_name,
        **shown_definition(insight),
        "order": insight.order,
        "deleted": insight.deleted,
        "dashboards": [],
        "dashboard_tiles": [],
        "last_refresh": of["last_refresh"],
        "cache_target_age": of["cache_target_age"],
        "next_allowed_client_refresh": of["next_allowed_client_refresh"],
        "result": of["result"],
        "hasMore": of["hasMore"],
        "columns": of["columns"],
        "created_at": iso(insight.created_at),
        "created_by": user(users.get(insight.created_by or 0)),
        "description": insight.description,
        "updated_at": iso(insight.updated_at),
        "tags": list(insight.tags),
        "favorited": insight.favorited,
        "saved": insight.saved,
        "last_modified_at": iso(insight.last_modified_at),
        "last_modified_by": user(users.get(insight.last_modified_by or 0)),
        "is_sample": False,
        "effective_restriction_level": EVERYONE_CAN_EDIT,
        "effective_privilege_level": CAN_EDIT,
        "user_access_level": access_level(insight, viewer),
        "timezone": of["timezone"],
        "is_cached": of["is_cached"],
        "query_status": of["query_status"],
        "hogql": of["hogql"],
        "types": of["types"],
        "resolved_date_range": of["resolved_date_range"],
        "alerts": [],
        "last_viewed_at": iso(last_viewed_at),
        "search_match_type": match,
        "filters_hash": of["filters_hash"],
    }


def basic(
    insight: Insight,
    users: Users,
    *,
    viewer: int | None,
    last_viewed_at: datetime | None = None,
    match: str | None = None,
) -> dict[str, Any]:
    """Return the basic representation: no result, no calculation (insights-api.md 2.7)."""
    return {
        "id": insight.id,
        "short_id": insight.short_id,
        "name": insight.name,
        "derived_name": insight.derived_name,
        **shown_definition(insight),
        "dashboards": [],
        "dashboard_tiles": [],
        "description": insight.description,
        "last_refresh": None,
        "refreshing": False,
        "saved": insight.saved,
        "tags": list(insight.tags),
        "updated_at": iso(insight.updated_at),
        "created_by": user(users.get(insight.created_by or 0)),
        "created_at": iso(insight.created_at),
        "last_modified_at": iso(insight.last_modified_at),
        "favorited": insight.favorited,
        "user_access_level": access_level(insight, viewer),
        "last_viewed_at": iso(last_viewed_at),
        "search_match_type": match,
    }


def shown_definition(insight: Insight) -> dict[str, Any]:
    """Return `filters` and `query` as shown: legacy filters appear as the query they convert to (2.4)."""
    query = effective_query(insight)
    if query is not None:
        return {"filters": {}, "query": query}
    filters = insight.filters
    if isinstance(filters, dict) and "insight" not in filters:
        filters = {**filters, "insight": "TRENDS"}
    return {"filters": filters, "query": None}


def effective_query(insight: Insight) -> Any:
    """Return the query that an insight stands for: its own, or its filters converted; None when they cannot be."""
    if insight.query:
        return insight.query
    try:
        source = filters_to_query(insight.filters)
    except InvalidQuery:
        return None
    return {"kind": "InsightVizNode", "source": source, "full": True}


def access_level(insight: Insight, viewer: int | None) -> str | None:
    """Return what the viewer may do with an insight: its creator manages it, everybody else edits."""
    if viewer is None:
        return None
    return "manager" if insight.created_by == viewer else "editor"


def user(one: User | None) -> dict[str, Any] | None:
    """Return a user as it stands in insights."""
    if one is None:
        return None
    return {
        "id": one.id,
        "uuid": one.uuid,
        "distinct_id": one.distinct_id,
        "first_name": one.first_name,
        "last_name": "",
        "email": one.email,
        "is_email_verified": None,
        "hedgehog_config": None,
        "role_at_organization": None,
    }


def activity(entry: Activity) -> dict[str, Any]:
    """Return an entry of the activity log (insights-api.md 5.1)."""
    if entry.user_id is None:
        who: dict[str, Any] = {"first_name": "System", "email": None, "is_system": True}
    else:
        who = {"first_name": entry.first_name or "", "email": entry.email or ""}
    return {
        "user": who,
        "activity": entry.activity,
        "scope": "Insight",
        "item_id": str(entry.insight_id),
        "detail": {
            "changes": entry.changes,
            "trigger": None,
            "name": entry.name,
            "short_id": entry.short_id,
            "type": None,
        },
        "created_at": iso(entry.at),
    }


def sharing(configuration: Sharing | None, token: str) -> dict[str, Any]:
    """Return a sharing configuration (insights-api.md 3.3.1)."""
    state = configuration.state if configuration else None
    return {
        "created_at": iso(configuration.created_at) if configuration else None,
        "enabled": bool(state and state.enabled),
        "access_token": token,
        "settings": state.settings if state else None,
        "password_required": bool(state and state.password_required),
        "share_passwords": [],
    }


def url_with(req: falcon.Request, site_url: str | None, **changes: int | None) -> str:
    """Return the request's absolute URL with query parameters replaced in place or appended; None drops one."""
    pairs = parse_qsl(req.query_string, keep_blank_values=True)
    kept = [(name, str(changes[name]) if name in changes else value) for name, value in pairs
            if changes.get(name, 0) is not None]  # fmt: skip
    present = {name for name, _ in pairs}
    kept += [(name, str(value)) for name, value in changes.items() if name not in present and value is not None]
    base = (site_url or req.prefix).rstrip("/") + req.env.get(ASKED_PATH, req.path)
    return f"{base}?{urlencode(kept)}" if kept else base


def write_json(resp: falcon.Response, value: Any) -> None:
    """Put a JSON value into a response; NaN and infinities become null."""
    resp.content_type = falcon.MEDIA_JSON
    resp.data = orjson.dumps(value)
