"""What became of the insights of a project, version by version; reverting one, and undoing what somebody did.

Source: history.md 3 and 4. Definitions come back; views, sharing and access are left as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from attrs import evolve, field, fields, frozen

from ..domain.errors import InvalidInput, NotFound, Outdated, PermissionDenied
from ..domain.events import Actor, Record
from ..domain.insight import Insight, replay_insight, stream_of
from ..domain.insight_changes import (
    UNDOABLE,
    FieldChange,
    Undoing,
    VersionChange,
    field_changes,
    undoing,
    value_of,
    version_changes,
)
from ..domain.insight_commands import SetBack
from .acting import require_number
from .execution import By
from .history import moment_in, moment_of, records_of
from .insights import InsightService
from .model import Page
from .ports import Clock, EventStore
from .views.tables import EPOCH, MICROSECOND

Bound = datetime | int | None
"""An instant or a position; None: no bound."""
MAX_UNDONE = 1000
LISTS = ("tags", "dashboards")


@frozen(kw_only=True)
class Wrong:
    """Which changes of insights are to be undone: those of which everything that is given here holds."""

    by_user: int | None = None
    by_key: int | None = None
    request: str | None = None
    since: datetime | str | None = None
    """Inclusive, like `until`: an instant, or `position:N`."""
    until: datetime | str | None = None
    insights: tuple[int, ...] = ()
    """Ids; empty: all of the project."""

    def __attrs_post_init__(self) -> None:
        for name in ("by_user", "by_key"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name))
        if self.request is not None and not isinstance(self.request, str):
            raise InvalidInput(f"A request is named by a text, not {self.request!r}.", path="request")
        for one in self.insights:
            require_number("insights", one)
        if len(self.insights) > MAX_UNDONE:
            raise InvalidInput(f"At most {MAX_UNDONE} insights at once.", path="insights", code="max_length")
        moment_of(self.since or EPOCH, path="from")
        moment_of(self.until or EPOCH, path="to")
        if all(getattr(self, field.name) in (None, ()) for field in fields(Wrong)):
            raise InvalidInput("Say what is to be undone: by_user, by_key, request, from, to or insights.")


@frozen
class _Matching:
    """Whether a record is one of those that are to be undone."""

    wrong: Wrong
    since: Bound = field(init=False)
    until: Bound = field(init=False)

    @since.default
    def _since(self) -> Bound:
        return _bound(self.wrong.since)

    @until.default
    def _until(self) -> Bound:
        return _bound(self.wrong.until)

    def __call__(self, record: Record) -> bool:
        wrong = self.wrong
        return (
            wrong.by_user in (None, record.by.user_id)
            and wrong.by_key in (None, record.by.key_id)
            and wrong.request in (None, record.request)
            and not _is_before(record, self.since)
            and not self.is_over(record)
        )

    def is_over(self, record: Record) -> bool:
        """Whether a record is later than all that are to be undone."""
        if isinstance(self.until, datetime):
            return record.at > self.until
        return self.until is not None and record.position > self.until


def _bound(moment: datetime | str | None) -> Bound:
    return None if moment is None else moment_of(moment)


def _is_before(record: Record, bound: Bound) -> bool:
    if isinstance(bound, datetime):
        return record.at < bound
    return bound is not None and record.position < bound


@frozen
class Undone:
    """The fields of one insight that were set back, or would be."""

    insight_id: int
    fields: tuple[str, ...]


@frozen
class Conflict:
    """A field that was left alone, since somebody else has changed it since."""

    insight_id: int
    field: str | None
    """None: the whole insight, which the caller may not edit."""
    by: Actor | None
    at: datetime | None


@frozen
class UndoReport:
    """What undoing came to."""

    undone: tuple[Undone, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    request: str | None = None
    """The correlation id by which it can be undone; None when nothing was done."""


@frozen
class InsightHistory:
    """The history of the insights of a project, with the rights of their service."""

    service: InsightService
    store: EventStore
    clock: Clock

    def versions(self, ref: int | str, *, limit: int = 100, offset: int = 0) -> Page[VersionChange]:
        """Return what each version changed, newest first, of a deleted insight too.

        Cost: reads the insight's stream. Raises `NotFound`.
        """
        require_number("limit", limit)
        require_number("offset", offset, least=0)
        changes = version_changes(self._records(ref))[::-1]
        return Page(len(changes), tuple(changes[offset : offset + limit]))

    def version(self, ref: int | str, number: int) -> Insight:
        """Return an insight as it was after a version. Raises `NotFound`, also for a version that is not there."""
        require_number("version", number)
        records = self._records(ref)
        found = replay_insight(records[:number])
        if found is None or number > len(records):
            raise NotFound("Version", number)
        return found

    def compare(self, ref: int | str, one: int, other: int | None = None) -> tuple[FieldChange, ...]:
        """Return what differs between two versions, the second the current one when None. Raises `NotFound`."""
        return field_changes(self.version(ref, one), self.version(ref, other or self.service.known(ref).version))

    def revert(
        self,
        ref: int | str,
        by: By,
        *,
        to_version: int | None = None,
        as_of: datetime | str | None = None,
        meant_for: Collection[int] | None = None,
    ) -> Insight:
        """Bring the definition back to what it was after a version, or at a moment; a deleted insight comes back.

        Nothing is written when nothing differs. Raises `NotFound`, also for a moment before the insight was there,
        `InvalidInput`, `Outdated`, `PermissionDenied`.
        """
        found = self.service.get_to_edit(ref, restores=True)
        if (to_version is None) == (as_of is None):
            raise InvalidInput("Say to_version or as_of, one of them.", path="to_version", code="required")
        if to_version is not None:
            require_number("to_version", to_version)
            if to_version > found.version:
                raise InvalidInput(f"The insight is at version {found.version}.", path="to_version", code="max_value")
        then = self.version(found.id, to_version or self._version_at(found.id, as_of))
        self.service.require_moves(found, then.dashboards)
        back = SetBack({field: getattr(then, field) for field in UNDOABLE}, then.version)
        return self.service.change(found.id, back, by, meant_for=meant_for)

    def undo(self, wrong: Wrong, by: By, *, is_dry: bool = True) -> UndoReport:
        """Undo, newest first, the changes of definitions that match; `is_dry` only tells what would be done.

        A field that somebody else has changed since is left alone and reported. All that is done has the request id of
        `by`, so that it can be undone. Cost: reads the log of the time that is given, or the streams of the insights.
        Raises `InvalidInput` for more than 1,000 insights.
        """
        undone, conflicts, matches = [], [], _Matching(wrong)
        for insight_id in self._concerned(matches):
            done, left = self._undone(insight_id, matches, by, is_dry=is_dry)
            conflicts += left
            if done.fields:
                undone.append(done)
        return UndoReport(tuple(undone), tuple(conflicts), None if is_dry or not undone else by.request)

    def _undone(self, insight_id: int, matches: _Matching, by: By, *, is_dry: bool) -> tuple[Undone, list[Conflict]]:
        """Undo what is wrong with one insight, by a plan made anew when somebody has changed it meanwhile."""
        try:
            found = self.service.get_to_edit(insight_id, restores=True)
            plan = self._plan(found, matches)
            if "dashboards" in plan.values:
                self.service.require_moves(found, plan.values["dashboards"])
        except PermissionDenied:
            return Undone(insight_id, ()), [Conflict(insight_id, None, None, None)]
        if plan.values and not is_dry:
            try:
                self.service.change(insight_id, SetBack(plan.values), by, meant_for=(found.version,))
            except Outdated:
                return self._undone(insight_id, matches, by, is_dry=is_dry)
        conflicts = [Conflict(insight_id, one.field, one.by, one.at) for one in plan.conflicts]
        return Undone(insight_id, tuple(plan.values)), conflicts

    def _plan(self, state: Insight, matches: _Matching) -> Undoing:
        """Return what undoing changes of an insight comes to, without what it is already."""
        records = self.store.load(stream_of(state.id))[: state.version]
        plan = undoing(version_changes(records), matches)
        values = {field: value for field, value in plan.values.items() if value != value_of(state, field)}
        return evolve(plan, values={f: tuple(value) if f in LISTS else value for f, value in values.items()})

    def _concerned(self, matches: _Matching) -> Sequence[int]:
        """Return the insights with a change that matches, those that were changed last first."""
        found: dict[int, None] = {}
        for record in self._searched(matches):
            if record.category == "insight" and record.project_id == self.service.project_id and matches(record):
                found.pop(record.subject_id, None)
                found[record.subject_id] = None
            if len(found) > MAX_UNDONE:
                raise InvalidInput(f"These are changes of more than {MAX_UNDONE} insights; say less at once.")
        return [one for one in reversed(found) if self._is_seen(one)]

    def _searched(self, matches: _Matching) -> Iterator[Record]:
        if matches.wrong.insights:
            for one in dict.fromkeys(matches.wrong.insights):
                yield from self.store.load(stream_of(one))
            return
        after = 0
        if isinstance(matches.since, int):
            after = max(matches.since - 1, 0)
        elif matches.since is not None and matches.since <= self.clock():
            after = moment_in(self.store, matches.since - MICROSECOND, self.clock()).position
        for record in records_of(self.store, after):
            if matches.is_over(record):
                return
            yield record

    def _is_seen(self, insight_id: int) -> bool:
        try:
            self.service.known(insight_id)
        except (NotFound, PermissionDenied):
            return False
        return True

    def _records(self, ref: int | str) -> Sequence[Record]:
        return self.store.load(stream_of(self.service.known(ref).id))

    def _version_at(self, insight_id: int, moment: datetime | str | None) -> int:
        assert moment is not None
        until = moment_in(self.store, moment, self.clock()).position
        found = sum(record.position <= until for record in self.store.load(stream_of(insight_id)))
        if not found:
            raise NotFound("Insight", insight_id)
        return found
