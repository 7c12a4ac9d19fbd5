"""Sharing: the configuration of each resource that ever had one, and every share token that there was. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ...domain.events import Record
from ...domain.sharing import ROTATION_GRACE, Resource, Sharing
from .listing import to_json
from .tables import Change, Put, micros


def sharing_changes(resource: Resource, old: Sharing | None, new: Sharing | None, last: Record) -> Iterator[Change]:
    """Give the row changes for a resource whose configuration was `old` and is `new` since a record."""
    if new is None or new == old:
        return
    state = new.state
    of = {"resource": resource.type, "resource_id": resource.id, "project_id": last.project_id}
    yield Put(
        "sharing",
        {
            **of,
            "created_at": micros(new.created_at),
            "enabled": int(state.enabled),
            "settings": to_json(state.settings),
            "password_required": int(state.password_required),
            "rotation": state.rotation,
            "expires_at": state.expires_at,
        },
    )
    if old is not None and old.state.token_sha256 != state.token_sha256:
        until = micros(last.at + ROTATION_GRACE)
        yield Put("share_tokens", {"token_sha256": old.state.token_sha256, **of, "valid_until": until})
    if old is None or old.state.token_sha256 != state.token_sha256:
        yield Put("share_tokens", {"token_sha256": state.token_sha256, **of, "valid_until": None})
