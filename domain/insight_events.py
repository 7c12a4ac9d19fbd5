"""The events of an insight: what can have happened to one. What they lead to is in `insight`."""

from __future__ import annotations

from typing import Any

from attrs import Factory

from .events import DomainEvent, event
from .sharing import ShareEvents, ShareLoginAttempted, SharePasswordAdded, SharePasswordRemoved, SharingSet


@event("InsightCreated")
class InsightCreated(DomainEvent):
    """An insight came into being with everything that was given."""

    short_id: str
    name: str | None = None
    derived_name: str | None = None
    description: str | None = None
    query: Any = None
    filters: Any = Factory(dict)
    order: int | None = None
    tags: tuple[str, ...] = ()
    favorited: bool = False
    saved: bool = True
    deleted: bool = False
    is_sample: bool = False


@event("InsightRenamed")
class InsightRenamed(DomainEvent):
    """The name changed."""

    name: str | None


@event("InsightDerivedNameChanged")
class InsightDerivedNameChanged(DomainEvent):
    """The label that clients compute from the query changed."""

    derived_name: str | None


@event("InsightDescribed")
class InsightDescribed(DomainEvent):
    """The description changed."""

    description: str | None


@event("InsightQueryChanged")
class InsightQueryChanged(DomainEvent):
    """The query or the legacy filters changed; both are given as they are now."""

    query: Any
    filters: Any


@event("InsightTagsChanged")
class InsightTagsChanged(DomainEvent):
    """The set of tags changed; sorted."""

    tags: tuple[str, ...]


@event("InsightFavorited")
class InsightFavorited(DomainEvent):
    """Became a favourite of the project."""


@event("InsightUnfavorited")
class InsightUnfavorited(DomainEvent):
    """Is no favourite any more."""


@event("InsightReordered")
class InsightReordered(DomainEvent):
    """Got another place in the default order of lists."""

    order: int | None


@event("InsightSaved")
class InsightSaved(DomainEvent):
    """The `saved` mark was set or taken away."""

    saved: bool


@event("InsightSoftDeleted")
class InsightSoftDeleted(DomainEvent):
    """Is gone for readers; everything about it is kept."""


@event("InsightRestored")
class InsightRestored(DomainEvent):
    """Is back after a soft delete."""


@event("InsightReverted")
class InsightReverted(DomainEvent):
    """Was brought back to what it was after an earlier version; the changes follow in the same append."""

    to_version: int


@event("InsightUpdated")
class InsightUpdated(DomainEvent):
    """Was saved without a difference; still a save, so the time of update moves."""

    material: bool
    """Whether the save mentioned a field that counts as a modification (insights-api.md 2.6)."""


@event("InsightViewed")
class InsightViewed(DomainEvent):
    """Somebody looked at it. Kept in a stream of its own, so that looking never conflicts with editing."""


@event("InsightShared")
class InsightShared(SharingSet):
    """Sharing was configured and is on; everything is given as it is now."""


@event("InsightUnshared")
class InsightUnshared(SharingSet):
    """Sharing was configured and is off; everything is given as it is now."""


@event("InsightDashboardsChanged")
class InsightDashboardsChanged(DomainEvent):
    """Stands on another set of dashboards, given whole. Makes at most one tile, whose id is the record's position."""

    dashboards: tuple[int, ...]


@event("InsightShareTokenRotated")
class InsightShareTokenRotated(SharingSet):
    """Got a new share token; the one before works for a little while yet."""


@event("InsightSharePasswordAdded")
class InsightSharePasswordAdded(SharePasswordAdded):
    """May be seen by those who know one more password; its hash is kept beside the log, under `ref`."""


@event("InsightSharePasswordRemoved")
class InsightSharePasswordRemoved(SharePasswordRemoved):
    """A password opens the shared insight no more."""


@event("InsightShareLoginAttempted")
class InsightShareLoginAttempted(ShareLoginAttempted):
    """Somebody tried a password on the shared insight. Kept in a stream of its own, so that it never conflicts."""


SHARING = ShareEvents(
    InsightShared, InsightUnshared, InsightShareTokenRotated, InsightSharePasswordAdded, InsightSharePasswordRemoved
)


@event("InsightAccessGranted")
class InsightAccessGranted(DomainEvent):
    """A member, the members of a role, or (neither given) everyone in the project has this level on it."""

    level: str
    member: int | None = None
    role: int | None = None


@event("InsightAccessRevoked")
class InsightAccessRevoked(DomainEvent):
    """The rule for a member, a role or everyone is gone."""

    member: int | None = None
    role: int | None = None


@event("InsightImported")
class InsightImported(DomainEvent):
    """Came over from another server as it stood there. What happened to it there is kept in a stream of its own."""

    source: str
    """Its address there."""
    short_id: str
    created_at: str
    """ISO 8601, like the other times: those of the other server, earlier than the record's own."""
    created_by: int | None
    updated_at: str
    last_modified_at: str
    last_modified_by: int | None
    name: str | None = None
    derived_name: str | None = None
    description: str | None = None
    query: Any = None
    filters: Any = Factory(dict)
    order: int | None = None
    tags: tuple[str, ...] = ()
    favorited: bool = False
    saved: bool = True
    deleted: bool = False
    is_sample: bool = False


@event("InsightTileImported")
class InsightTileImported(DomainEvent):
    """Stands on one more dashboard, as on the server that it came from; the record's position is the tile's id."""

    dashboard_id: int


@event("InsightPastViewed")
class InsightPastViewed(DomainEvent):
    """Somebody, it is not known who, looked at it last on the server that it came from. Kept with the views."""

    at: str
    """ISO 8601."""


@event("InsightPastImported")
class InsightPastImported(DomainEvent):
    """An entry of the activity log of the server that an insight came from, as it was written there."""

    activity: str
    changes: Any
    name: str | None
    short_id: str | None
    user_id: int | None
    at: str
    """ISO 8601."""
