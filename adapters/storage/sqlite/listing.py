"""From what a list of insights is asked for to its SQL: conditions, ranking, order. Values are always bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import Factory, define

from ....application.ports import InsightsWanted, Viewer
from ....application.views.tables import micros

SHORTEST_INDEXED = 3
"""Characters that a search needs to be answered from the index; shorter ones are looked for in every text."""
LAST_CHARACTER = "\U0010ffff"
UNLISTED = "unlisted"
VIEWED = "last_viewed_at"
TEXTS = ("name", "derived_name", "tags", "description")
ORDER_COLUMNS = {
    "order": "i.sort_order",
    "name": "i.name COLLATE NOCASE",
    "derived_name": "i.derived_name COLLATE NOCASE",
}
INSTANTS = {
    "modified_after": "last_modified_at",
    "modified_before": "last_modified_at",
    "created_after": "created_at",
    "created_before": "created_at",
    "viewed_after": VIEWED,
    "viewed_before": VIEWED,
}
"""What a list may be bounded by, exclusively, and the columns that are compared."""
INDEXED_ORDERS = frozenset({None, "order", "name", "-created_at", "-last_modified_at", "-last_viewed_at"})
"""Orders in which an index holds the live insights of a project."""


@define
class Question:
    """A SELECT of the ids of insights `i`, in order, with the values bound in it."""

    source: str = "insights i"
    conditions: list[str] = Factory(list)
    bound: list[Any] = Factory(list)
    order: str = ""
    order_bound: list[Any] = Factory(list)

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition with its values."""
        self.conditions.append(condition)
        self.bound += values

    @property
    def sql(self) -> str:
        """The statement."""
        return f"SELECT i.id FROM {self.source} WHERE {' AND '.join(self.conditions)} ORDER BY {self.order}"

    @property
    def values(self) -> list[Any]:
        """What is bound in the statement."""
        return [*self.bound, *self.order_bound]

    @property
    def first_of_two(self) -> tuple[str, list[Any]]:
        """The statement that tells which of two insights comes first, and what is bound in it behind their ids."""
        source = "insights i JOIN insight_texts x ON x.id = i.id"
        return f"SELECT i.id FROM {source} WHERE i.id IN (?, ?) ORDER BY {self.order} LIMIT 1", self.order_bound

    @property
    def is_plain(self) -> bool:
        """Whether it is about all live insights of a project: how many those are is known."""
        return len(self.conditions) == 2

    @property
    def heeds_views(self) -> bool:
        """Whether looking at an insight may change its place."""
        return VIEWED in self.sql


def listing(wanted: InsightsWanted, among: Sequence[int] | None = None) -> Question:
    """Return the SELECT of a list without its page; `among`: of these insights only, at a cost for each of them."""
    starts_elsewhere = among is not None or wanted.tags or wanted.events or wanted.dashboards
    # PERF: the plus keeps SQLite from walking all in order where it had better begin with what has the terms.
    project = "+i.project_id = ?" if starts_elsewhere else "i.project_id = ?"
    asked = Question(conditions=[project, "i.deleted = 0"], bound=[wanted.project_id], order=_order(wanted.order))
    if among is not None:
        asked.add(f"i.id IN ({_marks(among)})", *among)
    _columns(asked, wanted)
    _instants(asked, wanted)
    _terms(asked, wanted, among)
    if wanted.viewer is not None:
        condition, values = visible(wanted.viewer)
        asked.add(condition, *values)
    if wanted.search:
        _search(asked, wanted.search.casefold(), among, is_ranked=wanted.order is None)
    return asked


def crossed(before: InsightsWanted, after: InsightsWanted) -> Sequence[tuple[str, list[Any]]]:
    """Return statements for the insights between the bounds of a list as they were and as they are."""
    statements: list[tuple[str, list[Any]]] = []
    for name, column in INSTANTS.items():
        old, new = (None if at is None else micros(at) for at in (getattr(before, name), getattr(after, name)))
        if old is not None and new is not None and old != new:
            sql = f"SELECT i.id FROM insights i WHERE i.project_id = ? AND i.deleted = 0 AND i.{column} BETWEEN ? AND ?"
            statements.append((sql, [after.project_id, min(old, new), max(old, new)]))
    return statements


def visible(viewer: Viewer | None) -> tuple[str, Sequence[Any]]:
    """Return the condition that an insight `i` is not hidden from somebody, and its values."""
    if viewer is None:
        return "1", ()
    user_id, roles = viewer.subjects
    rule = (
        "(SELECT MAX(a.rank) FROM access_rules a WHERE a.project_id = i.project_id AND a.resource = 'insight' "
        f"AND a.resource_id = i.id AND a.member IN (0, ?) AND a.role IN ({_marks((0, *roles))}))"
    )
    return f"(i.created_by = ? OR coalesce({rule}, ?) > 0)", (user_id, user_id, 0, *roles, viewer.default_rank)


def _columns(asked: Question, wanted: InsightsWanted) -> None:
    if wanted.only_id is not None:
        asked.add("i.id = ?", wanted.only_id)
    if wanted.short_id is not None:
        asked.add("i.short_id = ?", wanted.short_id)
    if wanted.created_by:
        asked.add(f"i.created_by IN ({_marks(wanted.created_by)})", *wanted.created_by)
    if wanted.mine is not None:
        asked.add("i.created_by = ?", wanted.mine)
    if wanted.favorited:
        asked.add("i.favorited = 1")
    if wanted.kind is not None:
        asked.add("i.kind = ?", wanted.kind)
    if wanted.hide_names:
        asked.add(f"coalesce(i.name, '') NOT IN ({_marks(wanted.hide_names)})", *wanted.hide_names)
    if wanted.saved is False:
        asked.add("NOT i.saved")
    elif wanted.saved:
        asked.add(
            "(i.saved OR EXISTS (SELECT 1 FROM tiles t JOIN dashboards d ON d.id = t.dashboard_id WHERE "
            "t.insight_id = i.id AND NOT coalesce(t.deleted, 0) AND NOT d.deleted AND d.creation_mode <> ?))",
            UNLISTED,
        )


def _instants(asked: Question, wanted: InsightsWanted) -> None:
    for name, column in INSTANTS.items():
        bound = getattr(wanted, name)
        if bound is not None:
            asked.add(f"i.{column} {'>' if name.endswith('after') else '<'} ?", micros(bound))


def _terms(asked: Question, wanted: InsightsWanted, among: Sequence[int] | None) -> None:
    def having(condition: str, *values: Any) -> None:
        only, ids = _only("insight_id", among)
        found = f"SELECT insight_id FROM insight_terms WHERE project_id = ? AND sort = ? AND {condition}{only}"
        asked.add(f"i.id IN ({found})", wanted.project_id, *values, *ids)

    if wanted.tags:
        having(f"term IN ({_marks(wanted.tags)})", "tag", *wanted.tags)
    for event in wanted.events:
        having("term = ?", "event", event)
    if wanted.feature_flag:
        having("substr(term, 1, ?) = ?", "flag", len(wanted.feature_flag), wanted.feature_flag)
    for dashboard_id in wanted.dashboards:
        only, ids = _only("t.insight_id", among)
        asked.add(
            "i.id IN (SELECT t.insight_id FROM tiles t JOIN dashboards d ON d.id = t.dashboard_id "
            f"WHERE t.dashboard_id = ? AND NOT coalesce(t.deleted, 0) AND NOT d.deleted{only})",
            dashboard_id,
            *ids,
        )


def _search(asked: Question, text: str, among: Sequence[int] | None, *, is_ranked: bool) -> None:
    """Look for a text anywhere, whatever its case; names that begin with it rank first, then what has it in the name.

    PERF: what may have it comes from the index of characters, so that the cost grows with what is found, not with what
    there is; for the texts of a few insights the index would take longer.
    """
    if len(text) >= SHORTEST_INDEXED and among is None:
        asked.source = (
            "insight_texts_fts CROSS JOIN insight_texts x ON x.id = insight_texts_fts.rowid "
            "CROSS JOIN insights i ON i.id = x.id"
        )
        asked.add("insight_texts_fts MATCH ?", '"' + text.replace('"', '""') + '"')
    else:
        asked.source = "insight_texts x JOIN insights i ON i.id = x.id"
    asked.add(f"({' OR '.join(f'instr(x.{column}, ?)' for column in TEXTS)})", *[text] * len(TEXTS))
    if is_ranked:
        ranks = " ".join(f"WHEN instr(x.{column}, ?) THEN {n}" for n, column in enumerate(TEXTS, start=1))
        asked.order = f"CASE WHEN x.name >= ? AND x.name < ? THEN 0 {ranks} END, x.name, i.id"
        asked.order_bound = [text, text + LAST_CHARACTER, *[text] * len(TEXTS)]


def _only(column: str, among: Sequence[int] | None) -> tuple[str, Sequence[int]]:
    """Return a further condition that a column is one of these ids, and its values; nothing for None."""
    return ("", ()) if among is None else (f" AND {column} IN ({_marks(among)})", among)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _order(order: str | None) -> str:
    """Return the ORDER BY list of an order that is known to be one of `ORDERS`; ties by id.

    What has no value comes last; only what was never viewed comes first when those viewed longest ago do.
    """
    if order in (None, "order"):
        return "i.sort_key, i.id"
    name = order.removeprefix("-")
    column = ORDER_COLUMNS.get(name, f"i.{name}")
    nulls = "FIRST" if order == VIEWED else "LAST"
    return f"{column} {'DESC' if order.startswith('-') else 'ASC'} NULLS {nulls}, i.id"
