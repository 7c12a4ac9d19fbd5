"""The events of a dashboard: what can have happened to one. What they lead to is in `dashboard`."""

from __future__ import annotations

from typing import Any

from attrs import Factory

from .events import DomainEvent, event
from .sharing import ShareEvents, ShareLoginAttempted, SharePasswordAdded, SharePasswordRemoved, SharingSet

EVERYONE_CAN_EDIT, ONLY_COLLABORATORS_CAN_EDIT = 21, 37


@event("DashboardCreated")
class DashboardCreated(DomainEvent):
    """A dashboard came into being."""

    name: str | None = None
    description: str = ""
    pinned: bool = False
    filters: Any = Factory(dict)
    variables: Any = Factory(dict)
    tags: tuple[str, ...] = ()
    restriction_level: int = EVERYONE_CAN_EDIT
    creation_mode: str = "default"


@event("DashboardImported")
class DashboardImported(DomainEvent):
    """Came over from another server as it stood there."""

    source: str
    """Its address there."""
    created_at: str
    """ISO 8601: when it was made there."""
    created_by: int | None
    name: str | None = None
    description: str = ""
    pinned: bool = False
    filters: Any = Factory(dict)
    variables: Any = Factory(dict)
    tags: tuple[str, ...] = ()
    restriction_level: int = EVERYONE_CAN_EDIT
    creation_mode: str = "default"


@event("DashboardRenamed")
class DashboardRenamed(DomainEvent):
    """The name changed."""

    name: str | None


@event("DashboardDescribed")
class DashboardDescribed(DomainEvent):
    """The description changed."""

    description: str


@event("DashboardPinned")
class DashboardPinned(DomainEvent):
    """Was pinned or unpinned."""

    pinned: bool


@event("DashboardFiltersChanged")
class DashboardFiltersChanged(DomainEvent):
    """What applies to the insights when they are seen here changed: dates, properties, breakdown."""

    filters: Any


@event("DashboardVariablesChanged")
class DashboardVariablesChanged(DomainEvent):
    """The values of SQL variables changed."""

    variables: Any


@event("DashboardTagsChanged")
class DashboardTagsChanged(DomainEvent):
    """The set of tags changed; sorted."""

    tags: tuple[str, ...]


@event("DashboardRestricted")
class DashboardRestricted(DomainEvent):
    """Who may edit changed: 21 everyone in the project, 37 only collaborators."""

    restriction_level: int


@event("DashboardCollaboratorAdded")
class DashboardCollaboratorAdded(DomainEvent):
    """A user may edit the dashboard although it is restricted."""

    user_id: int


@event("DashboardCollaboratorRemoved")
class DashboardCollaboratorRemoved(DomainEvent):
    """A user is no collaborator any more."""

    user_id: int


@event("DashboardSoftDeleted")
class DashboardSoftDeleted(DomainEvent):
    """Is gone for readers; everything about it is kept."""

    insights: tuple[int, ...] = ()
    """Those that were deleted with it, as they stood on no other dashboard."""


@event("DashboardRestored")
class DashboardRestored(DomainEvent):
    """Is back after a soft delete, with its tiles and with the insights that were deleted with it."""


@event("DashboardTextAdded")
class DashboardTextAdded(DomainEvent):
    """Got a tile with a text; the record's position is the tile's id."""

    body: str


@event("DashboardTextChanged")
class DashboardTextChanged(DomainEvent):
    """The text of a tile changed."""

    tile_id: int
    body: str


@event("DashboardTextRemoved")
class DashboardTextRemoved(DomainEvent):
    """A tile with a text was taken off."""

    tile_id: int


@event("DashboardTileArranged")
class DashboardTileArranged(DomainEvent):
    """How a tile looks changed; everything is given as it is now."""

    tile_id: int
    layouts: Any
    color: str | None
    filters_overrides: Any = None


@event("DashboardShared")
class DashboardShared(SharingSet):
    """Sharing was configured and is on; everything is given as it is now."""


@event("DashboardUnshared")
class DashboardUnshared(SharingSet):
    """Sharing was configured and is off; everything is given as it is now."""


@event("DashboardShareTokenRotated")
class DashboardShareTokenRotated(SharingSet):
    """Got a new share token; the one before works for a little while yet."""


@event("DashboardSharePasswordAdded")
class DashboardSharePasswordAdded(SharePasswordAdded):
    """May be seen by those who know one more password; its hash is kept beside the log, under `ref`."""


@event("DashboardSharePasswordRemoved")
class DashboardSharePasswordRemoved(SharePasswordRemoved):
    """A password opens the shared dashboard no more."""


@event("DashboardShareLoginAttempted")
class DashboardShareLoginAttempted(ShareLoginAttempted):
    """Somebody tried a password on the shared dashboard. Kept in a stream of its own, so that it never conflicts."""


SHARING = ShareEvents(
    DashboardShared,
    DashboardUnshared,
    DashboardShareTokenRotated,
    DashboardSharePasswordAdded,
    DashboardSharePasswordRemoved,
)
