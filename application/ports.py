"""What the application needs from the log of insights and its views, and the time, as small protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeVar

from attrs import Factory, frozen

from ..domain.events import Actor, DomainEvent, Record

T = TypeVar("T")


class Clock(Protocol):
    """Tells the time; tests pass a frozen one."""

    def __call__(self) -> datetime:
        """Return now as an aware UTC datetime."""
        ...


class Versioned(Protocol):
    """A state that knows which version of its stream it is."""

    @property
    def version(self) -> int:
        """Place in the stream."""
        ...


@frozen
class StreamEvents:
    """Events to append to one stream."""

    stream: str
    events: tuple[DomainEvent, ...]
    expected_version: int | None = None
    """The version that the stream must have (0: it must be new); None: whatever it has."""
    state: Versioned | None = None
    """What it was decided on by `EventStore.carry_out`: the stream has its version, and views need not look it up."""


@frozen
class Append:
    """One change: what is appended together, or not at all."""

    items: tuple[StreamEvents, ...]
    by: Actor
    project_id: int | None
    request: str
    secrets: Mapping[str, str] = Factory(dict)
    """Values kept beside the log in the same transaction, by name; they never enter an event."""


class EventStore(Protocol):
    """The log, and the views that are updated in the transaction that appends."""

    def carry_out(self, decide: Decision) -> Sequence[Record]:
        """Store what is decided in the transaction that appends it, durable on return; nothing for None.

        So it is decided on what is there then, whoever else writes. `decide` reads the views it is given and nothing
        slow; it runs on any thread, and may be asked again. What it raises is raised here, and nothing is stored.
        Raises as `append` does; concurrent callers share a commit.
        """
        ...

    def append(self, append: Append) -> Sequence[Record]:
        """Store the events, durable on return, and update the views with them.

        Raises `VersionConflict` when a stream is not at its expected version, `StoreUnavailable` when the store
        cannot take writes. Concurrent callers share a commit.
        """
        ...

    def load(self, stream: str, *, after: int = 0) -> Sequence[Record]:
        """Return the records of a stream with a version above `after`. Raises `CorruptLog`."""
        ...

    def read(self, *, after: int = 0, limit: int = 500) -> Sequence[Record]:
        """Return up to `limit` records of the log with a position above `after`. Raises `CorruptLog`."""
        ...

    def texts(self, *, after: int = 0, limit: int = 500) -> Sequence[bytes]:
        """Return what `read` does as it is stored: one JSON object each, which ends with its `hash` in hexadecimal.

        Raises `CorruptLog`.
        """
        ...

    def position(self) -> int:
        """Return the position of the last record, 0 for an empty log."""
        ...

    def note_key_use(self, key_id: int, at: datetime) -> None:
        """Keep beside the log when a key was used last. Raises `StoreUnavailable`."""
        ...

    def secret(self, name: str) -> str | None:
        """Return a secret kept beside the log."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


Row = Mapping[str, Any]


class Views(Protocol):
    """Plain reads of the views; rows have the columns of `application.views.tables`."""

    def row(self, table: str, subject_id: int) -> Row | None:
        """Return the row of a view table whose key is an id."""
        ...

    def insight(self, project_id: int, ref: int | str, *, is_glance: bool = False) -> Row | None:
        """Return an insight of the project by id or short id, deleted ones included; None if there is none.

        PERF: a glance gives what tells whether somebody may look at it (`glance_from_row`), in a sixth of the time.
        """
        ...

    def insights(self, wanted: InsightsWanted) -> tuple[int, Sequence[Row]]:
        """Return how many insights fit and the rows of the page, each with `last_viewed_at`."""
        ...

    def last_viewed(self, project_id: int, user_id: int, limit: int, viewer: Viewer | None) -> Sequence[Row]:
        """Return the insights that a user viewed last, newest first, deleted ones left out before the limit.

        Each row has `last_viewed_at`: the user's own view. Insights that are hidden from `viewer` are left out too.
        """
        ...

    def trending(self, project_id: int, since: datetime, limit: int, viewer: Viewer | None) -> Sequence[Row]:
        """Return the insights with the most viewers since a moment, then by last modification.

        Each row has `view_count` and `viewer_ids`: the ids of up to three users, most recent first.
        """
        ...

    def tiles(self, *, insight_ids: Iterable[int] = (), dashboard_id: int | None = None) -> Sequence[Row]:
        """Return live tiles on dashboards that are not deleted: of insights, or of a dashboard; by tile id.

        Rows have the tile's columns, and the dashboard's `restriction_level`, `created_by`, `collaborators`.
        """
        ...

    def dashboards(self, project_id: int, limit: int, offset: int) -> tuple[int, Sequence[Row]]:
        """Return how many dashboards there are, deleted ones left out, and a page of them in order of name."""
        ...

    def dashboard_from(self, project_id: int, source: str) -> Row | None:
        """Return the dashboard of the project that came from an address of another server, a deleted one too."""
        ...

    def said_names(self, project_id: int) -> Sequence[Row]:
        """Return what is said of the names of events and properties in a project, one row a field."""
        ...

    def definitions(
        self,
        table: str,
        project_id: int,
        *,
        search: str | None = None,
        limit: int = -1,
        offset: int = 0,
        with_deleted: bool = False,
    ) -> tuple[int, Sequence[Row]]:
        """Return how many actions or cohorts (`table`) there are, and a page, newest first.

        Deleted ones are left out unless asked for. `search` is a case-insensitive part of the name; a limit of -1
        gives all.
        """
        ...

    def listed(self, cohort_id: int) -> Sequence[str]:
        """Return the distinct ids on the list of a static cohort, in order of their text."""
        ...

    def share_of(self, token_sha256: str) -> Row | None:
        """Return insight, project and end of validity of a share token that is or was in use."""
        ...

    def access_rules(self, project_id: int, subjects: Subjects) -> Sequence[Row]:
        """Return the rules about whole kinds of resources in a project that apply to somebody."""
        ...

    def hides_insights(self, project_id: int) -> bool:
        """Whether some rule takes insights of the project away from anybody."""
        ...

    def kept(self, name: tuple[Any, ...], find: Callable[[], T], *, weigh: Callable[[T], int] = lambda _: 1) -> T:
        """Return what `find` reads from the views, or read under that name since anything was written to the folder.

        Writes of other processes count. What `find` raises is not kept. `weigh` tells how many usual rows it is as
        large as.
        """
        ...

    def once(self) -> AbstractContextManager[None]:
        """Within it, this thread looks once for what others have written: at its first reading of what is kept.

        What the thread writes itself it always sees.
        """
        ...

    def mark(self, name: str) -> int:
        """Return the position at which something changed last (`application.views.tables.MARKS`), 0 for never."""
        ...

    def organizations(self) -> Sequence[Row]:
        """Return the organisations that events told of, in order of id."""
        ...

    def members(self, *, organization_id: int | None = None, user_id: int | None = None) -> Sequence[Row]:
        """Return memberships, of an organisation or of a user, in the order of joining."""
        ...

    def roles(self, organization_id: int) -> Sequence[Row]:
        """Return the roles of an organisation in order of id, each with `user_ids`, a JSON array."""
        ...

    def activity(
        self, project_id: int, *, insight_id: int | None, limit: int, offset: int, viewer: Viewer | None = None
    ) -> tuple[int, Sequence[Row]]:
        """Return how many entries there are and the page, newest first; rows carry `first_name` and `email`.

        Entries of insights that are hidden from the viewer are left out.
        """
        ...

    def users(self, ids: Iterable[int] | None = None) -> Sequence[Row]:
        """Return users by id, or all of them, in order of id."""
        ...

    def user_by_email(self, email: str) -> Row | None:
        """Return the user of an e-mail address."""
        ...

    def projects(self) -> Sequence[Row]:
        """Return all projects in order of id."""
        ...

    def project(self, project_id: int) -> Row | None:
        """Return a project."""
        ...

    def project_by_token(self, token_sha256: str) -> Row | None:
        """Return the project of a capture token."""
        ...

    def all_keys(self) -> Sequence[Row]:
        """Return all keys in order of id."""
        ...

    def key_by_hash(self, key_sha256: str) -> Row | None:
        """Return a key that is not revoked, with its user's columns behind `user_`."""
        ...

    def highest_id(self, table: str) -> int:
        """Return the highest id in a view table, 0 when it is empty."""
        ...


Decision = Callable[[Views], Append | None]
"""What a command leads to, given the views as they are in the transaction that appends it."""

Subjects = tuple[int, tuple[int, ...]]
"""A user's id and the ids of the roles that the user has."""


@frozen
class Viewer:
    """For whom lists leave out what is hidden: a user who is no administrator of the project."""

    subjects: Subjects
    default_rank: int
    """What a rule for all insights, or the absence of any, gives (`domain.access_rules.RANKS`)."""


SEVERAL = ("created_by", "tags", "events", "dashboards", "hide_names")
"""What `InsightsWanted` takes lists of."""


@frozen(kw_only=True)
class InsightsWanted:
    """What a list of insights is asked for; filters combine with AND, deleted insights never appear."""

    project_id: int
    limit: int = 100
    offset: int = 0
    short_id: str | None = None
    created_by: tuple[int, ...] = ()
    """By any of these users."""
    mine: int | None = None
    """By this user."""
    favorited: bool = False
    """True: favourites only."""
    saved: bool | None = None
    """True: saved, or on a dashboard that is not unlisted. False: not saved."""
    search: str | None = None
    """Case-insensitive substring of name, derived name, description or a tag."""
    tags: tuple[str, ...] = ()
    """Any of them."""
    events: tuple[str, ...] = ()
    """The definition uses all of them."""
    feature_flag: str | None = None
    """The definition mentions a flag that begins so."""
    dashboards: tuple[int, ...] = ()
    """On all of them."""
    kind: str | None = None
    """`TRENDS`, `FUNNELS` ..., `SQL`, `JSON`, or what legacy filters name."""
    hide_names: tuple[str, ...] = ()
    """Insights of these names are left out."""
    only_id: int | None = None
    modified_after: datetime | None = None
    """This and the bounds below are exclusive."""
    modified_before: datetime | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    viewed_after: datetime | None = None
    """When anybody viewed it last; never viewed fits no bound."""
    viewed_before: datetime | None = None
    viewer: Viewer | None = None
    """None: for somebody from whom nothing is hidden."""
    order: str | None = None
    """One of `ORDERS`, with `-` in front for the other way round."""


ORDERS = (
    "id", "short_id", "name", "derived_name", "description", "order", "created_at", "created_by", "updated_at",
    "last_modified_at", "last_modified_by", "favorited", "saved", "last_viewed_at",
)  # fmt: skip
"""What a list may be ordered by."""
