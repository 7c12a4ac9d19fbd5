"""What is shared as visitors see it: by token, and by password where one is asked for. No user is involved."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import frozen

from ..domain import dashboard as dashboards
from ..domain import insight as insights
from ..domain.dashboard import Dashboard
from ..domain.dashboard_events import DashboardShareLoginAttempted
from ..domain.errors import AuthenticationFailed, InsightlogError
from ..domain.events import Actor
from ..domain.insight import Insight
from ..domain.insight_events import InsightShareLoginAttempted, InsightViewed
from ..domain.sharing import Resource, ShareLoginAttempted, Sharing
from .access import digest
from .execution import new_request
from .ports import Append, Clock, EventStore, Row, StreamEvents, Views
from .sharing_tokens import SharePasswords, ShareTokens
from .views.dashboards import dashboard_from_row
from .views.listing import insight_from_row
from .views.tables import micros

SUFFIX_LENGTH = 6
TRIES, TRIES_WITHIN = 10, timedelta(minutes=1)
"""How many passwords may be tried on one share from one address."""
MAX_REMEMBERED = 10_000


class TooManyTries(InsightlogError):
    """Too many passwords were tried; `retry_after_s` tells when to go on."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many passwords were tried; go on in {retry_after_s} seconds.")
        self.retry_after_s = retry_after_s


@frozen
class Share:
    """A shared insight or dashboard, found by its token."""

    shared: Insight | Dashboard
    sharing: Sharing
    token: str

    @property
    def insight(self) -> Insight | None:
        """The shared insight, None when a dashboard is shared."""
        return self.shared if isinstance(self.shared, Insight) else None

    @property
    def dashboard(self) -> Dashboard | None:
        """The shared dashboard, None when an insight is shared."""
        return self.shared if isinstance(self.shared, Dashboard) else None

    @property
    def resource(self) -> Resource:
        """What is shared."""
        return Resource("insight" if self.insight else "dashboard", self.shared.id)

    @property
    def needs_password(self) -> bool:
        """Whether the token alone shows nothing."""
        return self.sharing.state.password_required

    def opens(self, insight: Insight) -> bool:
        """Whether an insight is what is shared, or stands on the dashboard that is."""
        if self.dashboard is None:
            return insight.id == self.shared.id
        return not self.dashboard.deleted and self.dashboard.id in insight.dashboards


@frozen
class _Type:
    """What visitors need to know of a type of resource."""

    table: str
    from_row: Callable[[Row], Insight | Dashboard]
    logins_stream_of: Callable[[int], str]
    login: type[ShareLoginAttempted]


_TYPES = {
    "insight": _Type("insights", insight_from_row, insights.logins_stream_of, InsightShareLoginAttempted),
    "dashboard": _Type("dashboards", dashboard_from_row, dashboards.logins_stream_of, DashboardShareLoginAttempted),
}


class Visiting:
    """Finds what is shared and lets visitors in; safe to share between threads."""

    def __init__(
        self, store: EventStore, views: Views, tokens: ShareTokens, passwords: SharePasswords, clock: Clock
    ) -> None:
        self._store = store
        self._views = views
        self._tokens = tokens
        self._passwords = passwords
        self._clock = clock
        self._tries: OrderedDict[tuple[Resource, str], list[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, token: str) -> Share | None:
        """Return the open share of a token; None when it is unknown, worn out, switched off, expired or forbidden.

        Something deleted is found: its being deleted is for the caller to see.
        """
        row = self._views.share_of(digest(token)) if token else None
        now = self._clock()
        if row is None or (row["valid_until"] is not None and row["valid_until"] < micros(now)):
            return None
        return self._share(Resource(row["resource"], row["resource_id"]), token, now)

    def find_by_visit(self, visit: str) -> Share | None:
        """Return the share that a visitor's signed token opens; it dies with password, token or share."""
        now = self._clock()
        found = self._tokens.visited(visit, now)
        if found is None:
            return None
        resource, rotation, password_id = found
        share = self._share(resource, "", now)
        if share is None or share.sharing.state.rotation != rotation:
            return None
        return share if any(one.id == password_id for one in share.sharing.passwords) else None

    def unlock(self, share: Share, password: str, client_ip: str) -> str:
        """Return a visitor's signed token for a right password; every try is in the log.

        Raises `AuthenticationFailed` for a wrong one, `TooManyTries`.
        """
        self._count_try(share.resource, client_ip)
        matched = self._passwords.match(password, share.sharing.passwords)
        own = _TYPES[share.resource.type]
        tried = own.login(
            token_suffix=share.token[-SUFFIX_LENGTH:],
            client_ip=client_ip,
            success=matched is not None,
            password_id=matched.id if matched else None,
            password_note=matched.note if matched else None,
        )
        self._append(share, StreamEvents(own.logins_stream_of(share.shared.id), (tried,)))
        if matched is None:
            raise AuthenticationFailed("Incorrect password")
        return self._tokens.visit(share.resource, share.sharing, matched, self._clock())

    def note_view(self, share: Share) -> None:
        """Note that somebody unknown looked at a shared insight; looking at a dashboard leaves no trace."""
        if share.insight is not None:
            self._append(share, StreamEvents(insights.views_stream_of(share.insight.id), (InsightViewed(),)))

    def _append(self, share: Share, happened: StreamEvents) -> None:
        self._store.append(Append((happened,), Actor(), share.shared.project_id, new_request()))

    def _share(self, resource: Resource, token: str, now: datetime) -> Share | None:
        own = _TYPES[resource.type]
        row = self._views.row(own.table, resource.id)
        found = None if row is None else own.from_row(row)
        if found is None or found.sharing is None or not found.sharing.is_open_at(now):
            return None
        if self._is_forbidden(found.project_id):
            return None
        return Share(found, found.sharing, token)

    def _is_forbidden(self, project_id: int) -> bool:
        """Whether the organisation of a project lets nobody outside see anything of it."""
        project = self._views.project(project_id)
        forbidding = {row["id"] for row in self._views.organizations() if row["forbids_sharing"]}
        return project is None or project["organization_id"] in forbidding

    def _count_try(self, resource: Resource, client_ip: str) -> None:
        now = self._clock()
        with self._lock:
            tries = [at for at in self._tries.pop((resource, client_ip), []) if now - at < TRIES_WITHIN]
            if len(tries) < TRIES:
                tries.append(now)
                refused = None
            else:
                refused = TooManyTries(max(1, round((tries[0] + TRIES_WITHIN - now).total_seconds())))
            self._tries[resource, client_ip] = tries
            while len(self._tries) > MAX_REMEMBERED:
                self._tries.popitem(last=False)
        if refused is not None:
            raise refused
