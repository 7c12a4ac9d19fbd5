"""Shared insights as visitors see them: by token, and by password where one is asked for. No user is involved."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from attrs import frozen

from ..domain.errors import AuthenticationFailed, InsightlogError
from ..domain.events import Actor
from ..domain.insight import Insight, logins_stream_of, views_stream_of
from ..domain.insight_events import InsightShareLoginAttempted, InsightViewed
from ..domain.sharing import Sharing
from .access import digest
from .execution import new_request
from .ports import Append, Clock, EventStore, StreamEvents, Views
from .sharing_tokens import SharePasswords, ShareTokens
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
    """A shared insight, found by its token."""

    insight: Insight
    sharing: Sharing
    token: str

    @property
    def needs_password(self) -> bool:
        """Whether the token alone does not show the insight."""
        return self.sharing.state.password_required


class Visiting:
    """Finds shared insights and lets visitors in; safe to share between threads."""

    def __init__(
        self, store: EventStore, views: Views, tokens: ShareTokens, passwords: SharePasswords, clock: Clock
    ) -> None:
        self._store = store
        self._views = views
        self._tokens = tokens
        self._passwords = passwords
        self._clock = clock
        self._tries: OrderedDict[tuple[int, str], list[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, token: str) -> Share | None:
        """Return the open share of a token; None when it is unknown, worn out, switched off, expired or forbidden.

        A deleted insight is found: its being deleted is for the caller to see.
        """
        row = self._views.share_of(digest(token)) if token else None
        now = self._clock()
        if row is None or (row["valid_until"] is not None and row["valid_until"] < micros(now)):
            return None
        return self._share(row["insight_id"], token, now)

    def find_by_visit(self, visit: str) -> Share | None:
        """Return the share that a visitor's signed token opens; it dies with password, token or share."""
        now = self._clock()
        found = self._tokens.visited(visit, now)
        if found is None:
            return None
        insight_id, rotation, password_id = found
        share = self._share(insight_id, "", now)
        if share is None or share.sharing.state.rotation != rotation:
            return None
        return share if any(one.id == password_id for one in share.sharing.passwords) else None

    def unlock(self, share: Share, password: str, client_ip: str) -> str:
        """Return a visitor's signed token for a right password; every try is in the log.

        Raises `AuthenticationFailed` for a wrong one, `TooManyTries`.
        """
        self._count_try(share.insight.id, client_ip)
        matched = self._passwords.match(password, share.sharing.passwords)
        tried = InsightShareLoginAttempted(
            token_suffix=share.token[-SUFFIX_LENGTH:],
            client_ip=client_ip,
            success=matched is not None,
            password_id=matched.id if matched else None,
            password_note=matched.note if matched else None,
        )
        self._append(share, StreamEvents(logins_stream_of(share.insight.id), (tried,)))
        if matched is None:
            raise AuthenticationFailed("Incorrect password")
        return self._tokens.visit(share.insight.id, share.sharing, matched, self._clock())

    def note_view(self, share: Share) -> None:
        """Note that somebody unknown looked at a shared insight."""
        self._append(share, StreamEvents(views_stream_of(share.insight.id), (InsightViewed(),)))

    def _append(self, share: Share, happened: StreamEvents) -> None:
        self._store.append(Append((happened,), Actor(), share.insight.project_id, new_request()))

    def _share(self, insight_id: int, token: str, now: datetime) -> Share | None:
        row = self._views.row("insights", insight_id)
        insight = None if row is None else insight_from_row(row)
        if insight is None or insight.sharing is None or not insight.sharing.is_open_at(now):
            return None
        if self._is_forbidden(insight.project_id):
            return None
        return Share(insight, insight.sharing, token)

    def _is_forbidden(self, project_id: int) -> bool:
        """Whether the organisation of a project lets nobody outside see its insights."""
        project = self._views.project(project_id)
        forbidding = {row["id"] for row in self._views.organizations() if row["forbids_sharing"]}
        return project is None or project["organization_id"] in forbidding

    def _count_try(self, insight_id: int, client_ip: str) -> None:
        now = self._clock()
        with self._lock:
            tries = [at for at in self._tries.pop((insight_id, client_ip), []) if now - at < TRIES_WITHIN]
            if len(tries) < TRIES:
                tries.append(now)
                refused = None
            else:
                refused = TooManyTries(max(1, round((tries[0] + TRIES_WITHIN - now).total_seconds())))
            self._tries[insight_id, client_ip] = tries
            while len(self._tries) > MAX_REMEMBERED:
                self._tries.popitem(last=False)
        if refused is not None:
            raise refused
