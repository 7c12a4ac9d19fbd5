"""HogQL queries as DuckDB queries: tables behind their project filter, joins, subqueries, CTEs, groups, unions.

No name of the query's own enters the SQL: relations, columns and CTEs get names of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, evolve, frozen
from sqlglot import exp

from .....domain.queries.plan import Condition
from ._clauses import grouped, limit_by_of, limited, limited_by, made_distinct, only, qualified, sorted_by
from ._conversions import Environment, as_type
from ._dialect import refuse_placeholder, shown
from ._printer import printed
from ._row import wanted_action
from ._tables import Derived, Events, Relation, Stored, relation_of
from ._translate import Call, Translator
from ._types import TRUTH, Type, Value, common_type
from ._windows import with_windows

MAX_RELATIONS = 50
NARROW = "narrow"
"""Placeholder of our own for what narrows a list of persons, marked so that no text can spell it."""
MAX_NUMBERS = 1_000_000
_SELECT_PARTS = (
    "expressions", "from_", "joins", "where", "group", "having", "qualify", "order", "limit", "offset", "distinct",
    "with_",
)  # fmt: skip


@frozen
class Selected:
    """A translated query: its SQL, whose columns are c0, c1 ..., with their names and types."""

    sql: exp.Query
    names: tuple[str, ...]
    types: tuple[Type, ...]


@define
class Query:
    """One query being translated, with everything that its parts share."""

    env: Environment
    filters: Callable[[Events, Translator], exp.Expr] | None = None
    """Gives what `{filters}` stands for over the rows of events."""
    values: Callable[[str, exp.Expr], Value] | None = None
    """Gives the other placeholders."""
    person_condition: Callable[[Call], Condition] | None = None
    """Gives the condition of `IN COHORT`."""
    narrowed: Callable[[Stored], exp.Expr] | None = None
    """Gives what `NARROW` stands for over the rows of persons."""
    definitions: list[tuple[str, exp.Query]] = Factory(list)
    n_relations: int = 0

    def fresh(self, letter: str, node: exp.Expr) -> str:
        """Return a name of ours for a relation."""
        self.n_relations += 1
        if self.n_relations > MAX_RELATIONS:
            self.env.refuse(f"A query may read {MAX_RELATIONS} tables and subqueries", node)
        return f"{letter}{self.n_relations}"

    def translate(
        self, tree: exp.Expr, names: Mapping[str, Any] | None = None, around: _Select | None = None
    ) -> Selected:
        """Return a SELECT, or several joined by UNION and the like.

        `names` are the CTEs around, `around` the SELECT whose rows it sees: it stands in an expression of that.
        """
        known = dict(names or {})
        if isinstance(tree, exp.Subquery):
            only(self.env, tree, "this", "alias")
            return self.translate(tree.this, known, around)
        if isinstance(tree, exp.Union | exp.Except | exp.Intersect):
            return self._set_operation(tree, known, around)
        if not isinstance(tree, exp.Select):
            self.env.refuse(f"{shown(tree)} is no SELECT", tree)
        return _Select(self, tree, known, around).translated()

    def with_definitions(self, sql: exp.Query) -> exp.Query:
        """Return the outermost SQL with the CTEs that its parts name."""
        for name, definition in self.definitions:
            sql = sql.with_(name, as_=definition, copy=False)
        return sql

    def define_ctes(self, tree: exp.Expr, names: dict[str, Any]) -> None:
        """Translate the WITH of a query; later ones see earlier ones."""
        found = tree.args.get("with_")
        if found is None:
            return
        only(self.env, found, "expressions")
        for cte in found.expressions:
            only(self.env, cte, "this", "alias", "scalar")
            name = cte.alias
            if cte.args.get("scalar") or not isinstance(cte.this, exp.Query):
                names[name] = cte.this
                continue
            if cte.args["alias"].args.get("columns"):
                self.env.refuse("A CTE names its columns in its SELECT", cte)
            selected = self.translate(cte.this, names)
            ours = self.fresh("w", cte)
            self.definitions.append((ours, selected.sql))
            names[name] = (ours, selected)

    def _set_operation(self, tree: Any, names: dict[str, Any], around: _Select | None) -> Selected:
        only(self.env, tree, "this", "expression", "distinct", "with_")
        self.define_ctes(tree, names)
        left, right = (self.translate(side, names, around) for side in (tree.this, tree.expression))
        if len(left.types) != len(right.types):
            self.env.refuse("The parts of a UNION have different numbers of columns", tree)
        kinds = []
        for name, one, two in zip(left.names, left.types, right.types, strict=True):
            kind = common_type([one, two])
            if kind is None:
                shown_types = f"{one.shown(self.env.zone)} and {two.shown(self.env.zone)}"
                self.env.refuse(f"The column {name} of a UNION is {shown_types}", tree)
            kinds.append(kind)
        sides = [_as_types(side, kinds, self.env, tree) for side in (left, right)]
        made = type(tree)(this=sides[0], expression=sides[1], distinct=bool(tree.args.get("distinct")))
        return Selected(made, left.names, tuple(kinds))


def _as_types(selected: Selected, kinds: Sequence[Type], env: Environment, node: exp.Expr) -> exp.Expr:
    """Return the SELECT with its columns as other types, in parentheses."""
    columns = [
        exp.alias_(as_type(Value(exp.column(f"c{place}", "s"), mine), kind, env, node), f"c{place}")
        for place, (mine, kind) in enumerate(zip(selected.types, kinds, strict=True))
    ]
    return exp.select(*columns).from_(
        exp.Subquery(this=selected.sql, alias=exp.TableAlias(this=exp.to_identifier("s")))
    )


@define
class _Select:
    """One SELECT being translated; it is also what names mean in its expressions."""

    owner: Query
    tree: exp.Select
    ctes: dict[str, Any]
    around: _Select | None = None
    relations: dict[str, Relation] = Factory(dict)
    """By the name that the query calls them."""
    aliases: dict[str, Value] = Factory(dict)
    expanding: set[str] = Factory(set)

    @property
    def env(self) -> Environment:
        return self.owner.env

    def translated(self) -> Selected:
        tree, env = with_windows(self.tree), self.env
        only(env, tree, *_SELECT_PARTS)
        self.owner.define_ctes(tree, self.ctes)
        steps = self._sources()
        rows = self._translator(allows_aggregates=False)
        groups = self._translator(allows_aggregates=True)
        columns = self._columns(groups)
        if not columns:
            env.refuse("A SELECT needs columns", tree)
        select = exp.select(
            *(exp.alias_(value.sql, f"c{place}") for place, (_, value) in enumerate(columns)), copy=False
        )
        where = tree.args.get("where")
        condition = rows.filter(where.this) if where is not None else None
        select = grouped(tree, select, columns, rows, groups)
        select = qualified(tree, select, groups)
        select = made_distinct(tree, select, env)
        limit_by = limit_by_of(tree, groups if tree.args.get("group") else rows)
        select = sorted_by(tree, select, columns, groups)
        for join, relation, on in steps:
            select = (
                select.from_(relation.sql(), copy=False)
                if join is None
                else select.join(relation.sql(), on=on, join_type=join, copy=False)
            )
        if condition is not None:
            select = select.where(condition, copy=False)
        if limit_by is not None:
            select = limited_by(select, limit_by, columns)
        select = limited(tree, select, groups)
        names, values = zip(*columns, strict=True)
        return Selected(select, tuple(names), tuple(value.type for value in values))

    # -- what names mean ---------------------------------------------------------------------------------------------

    def field(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        """Return what a dotted name is: an alias, a CTE's value, a relation's field."""
        first = parts[0]
        if isinstance(first, str) and first in self.aliases:
            from ._conversions import constant  # noqa: PLC0415
            from ._operators import element  # noqa: PLC0415

            value = self.aliases[first]
            value = evolve(value, sql=value.sql.copy())
            for part in parts[1:]:
                value = element(value, constant(part, env), env, node)
            return value
        found = self.of_row(parts, node, env)
        return found if found is not None else self._scalar(parts, env)

    def of_row(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        """Return a field of the row, or of the row around, whose aliases may be of groups and are not seen."""
        first = parts[0]
        if isinstance(first, str) and first in self.relations and len(parts) > 1:
            found = self.relations[first].field(parts[1:], node, env)
            if found is not None:
                return found
        hits = [(relation.alias, found) for relation in self.relations.values()
                if (found := relation.field(parts, node, env)) is not None]  # fmt: skip
        if len({alias for alias, _ in hits}) > 1:
            env.refuse(f"Ambiguous query. Found multiple sources for field: {first}", node)
        if hits:
            return hits[0][1]
        return self.around.of_row(parts, node, env) if self.around is not None else None

    def _scalar(self, parts: Sequence[str | int], env: Environment) -> Value | None:
        name = parts[0]
        expression = self.ctes.get(name) if isinstance(name, str) and len(parts) == 1 else None
        if not isinstance(expression, exp.Expr):
            return None
        if name in self.expanding:
            env.refuse(f"{name} is defined by itself", expression)
        self.expanding.add(str(name))
        try:
            return self._translator(allows_aggregates=True).value(expression)
        finally:
            self.expanding.discard(str(name))

    def query(self, tree: exp.Query, node: exp.Expr, env: Environment) -> tuple[exp.Expr, tuple[Type, ...]]:
        """Return a subquery that stands in an expression; it sees the CTEs and the row around."""
        del node, env
        selected = self.owner.translate(tree, self.ctes, self)
        return selected.sql, selected.types

    def cohort(self, call_: Call) -> exp.Expr:
        """Return whether the person of a row is in a cohort."""
        if self.owner.person_condition is None:
            call_.refuse("IN COHORT is not supported in this context")
        column = call_.arguments[0]
        parts = [part.name for part in column.parts] if isinstance(column, exp.Column) else []
        if not parts or parts[-1] not in ("person_id", "id"):
            call_.refuse("Only person_id can be IN COHORT", 0)
        owner = self.relations.get(parts[0]) if len(parts) > 1 else None
        if owner is None:
            owner = next((one for one in self.relations.values() if one.field(parts, column, self.env)), None)
        if owner is None:
            call_.refuse("Only person_id can be IN COHORT", 0)
        return owner.people(self.owner.person_condition(call_), call_, f"cohort {call_.value(1).constant!r}")

    def action(self, call_: Call) -> exp.Expr:
        """Return whether a row of the table of events belongs to an action."""
        events = [one for one in self.relations.values() if isinstance(one, Events)]
        if len(events) != 1:
            call_.refuse("matchesAction needs one table of events in its SELECT")
        return events[0].condition(wanted_action(call_), f"action {call_.value(0).constant!r}")

    def placeholder(self, name: str, node: exp.Expr) -> Value:
        """Return what `{name}` stands for in this SELECT."""
        if name == "filters" and self.owner.filters is not None:
            events = [one for one in self.relations.values() if isinstance(one, Events)]
            if len(events) != 1:
                self.env.refuse("The placeholder {filters} needs one table of events in its SELECT", node)
            translator = self._translator(allows_aggregates=False)
            return Value(exp.paren(self.owner.filters(events[0], translator)), TRUTH)
        if node.meta.get(NARROW) and self.owner.narrowed is not None:
            (persons,) = self.relations.values()
            assert isinstance(persons, Stored)
            return Value(exp.paren(self.owner.narrowed(persons)), TRUTH)
        if self.owner.values is None:
            refuse_placeholder(name)
        return self.owner.values(name, node)

    def _translator(self, *, allows_aggregates: bool) -> Translator:
        return Translator(
            self.env, self, allows_aggregates=allows_aggregates, allows_windows=allows_aggregates,
            values_of=self.placeholder,
        )  # fmt: skip

    # -- FROM --------------------------------------------------------------------------------------------------------

    def _sources(self) -> list[tuple[str | None, Relation, exp.Expr | None]]:
        """Return the relations in order, each with how it is joined; the first with None."""
        from_ = self.tree.args.get("from_")
        if from_ is None:
            if self.tree.args.get("joins"):
                self.env.refuse("A JOIN needs a FROM", self.tree)
            return []
        steps: list[tuple[str | None, Relation, exp.Expr | None]] = []
        pending = [(None, from_.this), *((join, join.this) for join in self.tree.args.get("joins") or ())]
        for join, source in pending:
            inner_joins = source.args.get("joins") if isinstance(source, exp.Expr) else None
            if inner_joins:
                self.env.refuse("Joins in parentheses are not supported", source)
            if join is not None and str(join.args.get("kind") or "").upper() == "ARRAY":
                steps += self._array_join(join)
                continue
            relation = self._relation(source)
            if join is None:
                steps.append((None, relation, None))
                continue
            how = self._how(join)
            on = join.args.get("on")
            condition = self._translator(allows_aggregates=False).filter(on) if on is not None else None
            if condition is None and how != "CROSS":
                self.env.refuse("A JOIN needs its ON", join)
            if how in ("RIGHT", "FULL"):
                for _, earlier, _ in steps:
                    earlier.is_optional = True
            relation.is_optional = how in ("LEFT", "FULL")
            steps.append((how, relation, condition))
        return steps

    def _how(self, join: Any) -> str:
        only(self.env, join, "this", "on", "kind", "side", "method")
        kind, side = str(join.args.get("kind") or "").upper(), str(join.args.get("side") or "").upper()
        if kind not in ("", "INNER", "CROSS", "OUTER") or side not in ("", "LEFT", "RIGHT", "FULL"):
            self.env.refuse(f"{kind or side} JOIN is not supported", join)
        if join.args.get("method"):
            self.env.refuse(f"{join.args['method']} JOIN is not supported", join)
        if kind == "CROSS":
            return "CROSS"
        return side or "INNER"

    def _relation(self, source: Any) -> Relation:
        env = self.env
        if isinstance(source, exp.Subquery):
            only(env, source, "this", "alias")
            if source.args.get("alias") and source.args["alias"].args.get("columns"):
                env.refuse("A subquery names its columns in its SELECT", source)
            selected = self.owner.translate(source.this, self.ctes)
            alias = self.owner.fresh("t", source)
            made: Relation = Derived(alias, query=selected.sql, names=selected.names, types=selected.types)
            return self._named(source.alias or alias, made, source)
        if not isinstance(source, exp.Table):
            env.refuse(f"{shown(source)} is not supported in FROM", source)
        only(env, source, "this", "alias", "joins")
        if source.args.get("alias") and source.args["alias"].args.get("columns"):
            env.refuse("A table has its own columns", source)
        alias = self.owner.fresh("t", source)
        name, arguments = self._table_name(source)
        known = self.ctes.get(name) if arguments is None else None
        if isinstance(known, tuple):
            cte, selected = known
            made = Derived(alias, name=cte, names=selected.names, types=selected.types)
            return self._named(source.alias or name, made, source)
        found = relation_of(name, arguments, alias, env)
        if found is None:
            env.refuse(f"Unknown table `{name[:100]}`", source)
        return self._named(source.alias or name, found, source)

    def _table_name(self, source: Any) -> tuple[str, list[int] | None]:
        called = source.this
        if isinstance(called, exp.Identifier):
            return called.name, None
        if not isinstance(called, exp.Anonymous):
            self.env.refuse(f"{shown(source)} is not supported in FROM", source)
        translator, numbers = self._translator(allows_aggregates=False), []
        for argument in called.expressions:
            value = translator.value(argument)
            if not value.is_constant or not isinstance(value.constant, int) or isinstance(value.constant, bool):
                self.env.refuse(f"{called.name}(...) takes whole numbers", source)
            if not 0 <= value.constant <= MAX_NUMBERS:
                self.env.refuse(f"{called.name}(...) takes numbers from 0 to {MAX_NUMBERS}", source)
            numbers.append(value.constant)
        return called.name, numbers

    def _named(self, name: str, relation: Relation, node: exp.Expr) -> Relation:
        if name in self.relations:
            self.env.refuse(f'Already have joined a table called "{name}". Can\'t redefine', node)
        self.relations[name] = relation
        return relation

    def _array_join(self, join: Any) -> list[tuple[str | None, Relation, exp.Expr | None]]:
        only(self.env, join, "this", "expressions", "kind", "side")
        items = [join.this, *(join.args.get("expressions") or ())]
        if len(items) != 1:
            self.env.refuse("ARRAY JOIN takes one array", join)
        name = items[0].alias
        value = self._translator(allows_aggregates=False).value(items[0].this if name else items[0])
        if value.type.name != "Array":
            self.env.refuse(f"{shown(items[0])} is no array", join)
        alias = self.owner.fresh("t", join)
        rows = exp.select(exp.alias_(exp.Anonymous(this="unnest", expressions=[value.sql]), "c0"), copy=False)
        made = Derived(alias, query=rows, names=(name or printed(items[0]),), types=(value.type.items[0],))
        self._named(alias, made, join)
        side = str(join.args.get("side") or "").upper()
        if side not in ("", "LEFT"):
            self.env.refuse(f"{side} ARRAY JOIN is not supported", join)
        made.is_optional = bool(side)
        return [("LEFT" if side else "INNER", made, exp.true())]

    # -- SELECT ------------------------------------------------------------------------------------------------------

    def _columns(self, translator: Translator) -> list[tuple[str, Value]]:
        columns: list[tuple[str, Value]] = []
        for node in self.tree.expressions:
            if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
                columns += self._star(node)
                continue
            if isinstance(node, exp.Alias):
                name = node.alias
                value = translator.value(node.this)
                if name == "team_id":
                    self.env.refuse(f'Alias "{name}" is a reserved keyword', node)
                self.aliases[name] = value
            else:
                name, value = printed(node), translator.value(node)
            if value.type.name == "Interval":
                self.env.refuse(f"{shown(node)} is an interval, which is no value of a column", node)
            columns.append((name, value))
        return columns

    def _star(self, node: Any) -> list[tuple[str, Value]]:
        star = node if isinstance(node, exp.Star) else node.this
        only(self.env, star)
        relations = list(self.relations.values())
        if isinstance(node, exp.Column):
            relations = [one for name, one in self.relations.items() if name == node.table]
        if not relations or (isinstance(node, exp.Column) and len(node.parts) != 2):
            self.env.refuse(f"{shown(node)} has no table", node)
        found = []
        for relation in relations:
            for name in relation.star():
                value = relation.field([name], node, self.env)
                if value is not None:
                    found.append((name, value))
        return found
