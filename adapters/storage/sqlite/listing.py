"""From what a list of insights is asked for to its SQL: conditions, ranking, order. Values are always bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import Factory, define, evolve, frozen

from ....application.ports import InsightsWanted, Viewer
from ....application.views.tables import micros

SHORTEST_INDEXED = 3
"""Characters that a search needs to be answered from the index; shorter ones are looked for in every text."""
LAST_CHARACTER = "\U0010ffff"
UNLISTED = "unlisted"
TEXTS = ("name", "derived_name", "tags", "description")
ORDER_COLUMNS = {
    "order": "i.sort_order",
    "name": "i.name COLLATE NOCASE",
    "derived_name": "i.derived_name COLLATE NOCASE",
}


@define
class Question:
    """The parts of a SELECT of insights `i`, with the values bound in them."""

    source: str = "insights i"
    conditions: list[str] = Factory(list)
    bound: list[Any] = Factory(list)
    order: str = ""
    order_bound: list[Any] = Factory(list)

    @property
    def where(self) -> str:
        """The conditions, joined."""
        return " AND ".join(self.conditions)

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition with its values."""
        self.conditions.append(condition)
        self.bound += values

    def and_also(self, condition: str, *values: Any) -> Question:
        """Return the question with one more condition."""
        return evolve(self, conditions=[*self.conditions, condition], bound=[*self.bound, *values])


@frozen
class Listing:
    """What a list takes: how many there are, and its parts, whose rows follow each other."""

    counted: Question
    parts: tuple[Question, ...]
    is_plain: bool
    """Whether it is about all live insights of a project: how many those are is known."""
    starts_from_terms: bool
    """Whether it is best begun from what has the terms, when that is little."""


def listing(wanted: InsightsWanted) -> Listing:
    """Return the SELECTs of a list."""
    asked = Question(conditions=["i.project_id = ?", "i.deleted = 0"], bound=[wanted.project_id])
    _columns(asked, wanted)
    _instants(asked, wanted)
    _terms(asked, wanted)
    if wanted.viewer is not None:
        condition, values = visible(wanted.viewer)
        asked.add(condition, *values)
    asked.order = _order(wanted.order)
    if wanted.search:
        counted, parts = _searched(asked, wanted.search.casefold(), is_ranked=wanted.order is None)
    else:
        counted, parts = asked, (asked,)
    is_plain = len(counted.conditions) == 2
    return Listing(counted, parts, is_plain, bool(wanted.tags or wanted.events or wanted.dashboards))


def starting_from_terms(asked: Question) -> Question:
    """Return the question so that SQLite begins with what has the terms; its first condition is about the project."""
    return evolve(asked, conditions=[f"+{asked.conditions[0]}", *asked.conditions[1:]])


def visible(viewer: Viewer | None) -> tuple[str, Sequence[Any]]:
    """Return the condition that an insight `i` is not hidden from somebody, and its values."""
    if viewer is None:
        return "1", ()
    user_id, roles = viewer.subjects
    marks = ", ".join("?" * (len(roles) + 1))
    rule = (
        "(SELECT MAX(a.rank) FROM access_rules a WHERE a.project_id = i.project_id AND a.resource = 'insight' "
        f"AND a.resource_id = i.id AND a.member IN (0, ?) AND a.role IN ({marks}))"
    )
    return f"(i.created_by = ? OR coalesce({rule}, ?) > 0)", (user_id, user_id, 0, *roles, viewer.default_rank)


def _columns(asked: Question, wanted: InsightsWanted) -> None:
    if wanted.only_id is not None:
        asked.add("i.id = ?", wanted.only_id)
    if wanted.short_id is not None:
        asked.add("i.short_id = ?", wanted.short_id)
    if wanted.created_by:
        asked.add(f"i.created_by IN ({', '.join('?' * len(wanted.created_by))})", *wanted.created_by)
    if wanted.mine is not None:
        asked.add("i.created_by = ?", wanted.mine)
    if wanted.favorited:
        asked.add("i.favorited = 1")
    if wanted.kind is not None:
        asked.add("i.kind = ?", wanted.kind)
    if wanted.hide_names:
        asked.add(f"coalesce(i.name, '') NOT IN ({', '.join('?' * len(wanted.hide_names))})", *wanted.hide_names)
    if wanted.saved is False:
        asked.add("NOT i.saved")
    elif wanted.saved:
        asked.add(
            "(i.saved OR EXISTS (SELECT 1 FROM tiles t JOIN dashboards d ON d.id = t.dashboard_id WHERE "
            "t.insight_id = i.id AND NOT coalesce(t.deleted, 0) AND NOT d.deleted AND d.creation_mode <> ?))",
            UNLISTED,
        )


def _instants(asked: Question, wanted: InsightsWanted) -> None:
    for column, after, before in (
        ("last_modified_at", wanted.modified_after, wanted.modified_before),
        ("created_at", wanted.created_after, wanted.created_before),
        ("last_viewed_at", wanted.viewed_after, wanted.viewed_before),
    ):
        if after is not None:
            asked.add(f"i.{column} > ?", micros(after))
        if before is not None:
            asked.add(f"i.{column} < ?", micros(before))


def _terms(asked: Question, wanted: InsightsWanted) -> None:
    having = "i.id IN (SELECT insight_id FROM insight_terms WHERE project_id = ? AND sort = ? AND {})"
    if wanted.tags:
        marks = ", ".join("?" * len(wanted.tags))
        asked.add(having.format(f"term IN ({marks})"), wanted.project_id, "tag", *wanted.tags)
    for event in wanted.events:
        asked.add(having.format("term = ?"), wanted.project_id, "event", event)
    if wanted.feature_flag:
        flag = wanted.feature_flag
        asked.add(having.format("substr(term, 1, ?) = ?"), wanted.project_id, "flag", len(flag), flag)
    for dashboard_id in wanted.dashboards:
        asked.add(
            "i.id IN (SELECT t.insight_id FROM tiles t JOIN dashboards d ON d.id = t.dashboard_id "
            "WHERE t.dashboard_id = ? AND NOT coalesce(t.deleted, 0) AND NOT d.deleted)",
            dashboard_id,
        )


def _searched(asked: Question, text: str, *, is_ranked: bool) -> tuple[Question, tuple[Question, ...]]:
    """Look for a text anywhere, whatever its case; what has it in the name ranks first, the whole name before all.

    PERF: names that begin with the text come from an index of names, in order. Only a page beyond them needs the
    rest, which comes from the index of characters outwards: its cost grows with what is found, not with what there is.
    """
    if len(text) >= SHORTEST_INDEXED:
        found = evolve(
            asked,
            source="insight_texts_fts CROSS JOIN insight_texts x ON x.id = insight_texts_fts.rowid "
            "CROSS JOIN insights i ON i.id = x.id",
        ).and_also("insight_texts_fts MATCH ?", '"' + text.replace('"', '""') + '"')
    else:
        places = " OR ".join(f"instr(x.{column}, ?)" for column in TEXTS)
        found = evolve(asked, source="insight_texts x JOIN insights i ON i.id = x.id").and_also(
            f"({places})", *[text] * len(TEXTS)
        )
    if not is_ranked:
        return found, (found,)
    names = (text, text + LAST_CHARACTER)
    begins = evolve(
        asked, source="insight_texts x CROSS JOIN insights i ON i.id = x.id", order="x.name, i.id"
    ).and_also("x.project_id = ? AND x.name >= ? AND x.name < ?", asked.bound[0], *names)
    ranks = " ".join(f"WHEN instr(x.{column}, ?) THEN {n}" for n, column in enumerate(TEXTS))
    rest = found.and_also("NOT (x.name >= ? AND x.name < ?)", *names)
    rest.order, rest.order_bound = f"CASE {ranks} ELSE 9 END, x.name, i.id", [text] * len(TEXTS)
    return found, (begins, rest)


def _order(order: str | None) -> str:
    """Return the ORDER BY list of an order that is known to be one of `ORDERS`; ties by id.

    What has no value comes last; only what was never viewed comes first when those viewed longest ago do.
    """
    if order in (None, "order"):
        return "i.sort_key, i.id"
    name = order.removeprefix("-")
    column = ORDER_COLUMNS.get(name, f"i.{name}")
    nulls = "FIRST" if order == "last_viewed_at" else "LAST"
    return f"{column} {'DESC' if order.startswith('-') else 'ASC'} NULLS {nulls}, i.id"
