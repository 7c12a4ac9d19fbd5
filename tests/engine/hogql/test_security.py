"""HogQL reads the project's own rows and nothing else: not files, settings, other tables nor other projects."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from insightlog.adapters.storage.duckdb._statement import Statement
from insightlog.adapters.storage.duckdb.hogql._conversions import Environment
from insightlog.adapters.storage.duckdb.hogql._dialect import parse_select
from insightlog.adapters.storage.duckdb.hogql._select import Query
from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.errors import InvalidInput, InvalidQuery
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries.scope import Scope

NOW = datetime(2026, 4, 2, 12, tzinfo=UTC)
MARK = "SECRET"
OURS, THEIRS = 1, 2


def an_event(number, mark):
    """One of some events; those of the other project are full of the mark."""
    at = NOW - timedelta(hours=number % 40)
    who = f"{mark}u{number % 5}"
    properties = {"plan": f"{mark}{number % 3}", "n": number, "$session_id": f"{mark}s{number % 4}"}
    if number % 3 == 0:
        properties |= {"$set": {"email": f"{mark}{number}@x"}, "$group_0": f"{mark}g{number % 2}"}
    if number % 7 == 0:
        properties = {"$group_type": "org", "$group_key": f"{mark}g{number % 2}", "$group_set": {"name": f"{mark}!"}}
        return ProductEvent(UUID(int=number), "$groupidentify", who, at, json.dumps(properties))
    return ProductEvent(UUID(int=number), f"{mark}e{number % 2}", who, at, json.dumps(properties))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store with both projects, and one with ours alone."""
    opened = []
    for projects in ((THEIRS, OURS), (OURS,)):
        folder = tmp_path_factory.mktemp("security")
        log = SQLiteCaptureLog(folder / "capture.sqlite")
        for number in range(1, 40):
            for project in projects:
                event = an_event(number + 1000 * project, MARK if project == THEIRS else "")
                log.append(project, [event], captured_at=NOW)
        opened.append((DuckDBStore(folder / "products.duckdb", log, clock=lambda: NOW, threads=1), log))
    yield [store for store, _ in opened]
    for store, log in opened:
        store.close()
        log.close()


def ask(store, text):
    return calculate({"kind": "HogQLQuery", "query": text}, context=QueryContext(OURS, NOW), store=store)


REFUSED = [
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_parquet('imports/*.parquet')",
    "select * from glob('*')",
    "select * from '/etc/passwd'",
    "select * from `imports/a.parquet`",
    "select * from file('x.csv')",
    "select * from url('http://x')",
    "select * from s3('x')",
    "select * from numbers(1e9)",
    "select * from numbers(100000000)",
    "select * from generate_series(1, 10)",
    "select * from range(10)",
    "select * from duckdb_settings()",
    "select * from duckdb_tables()",
    "select * from pragma_table_info('events')",
    "select * from information_schema.tables",
    "select * from system.tables",
    "select * from main.events",
    "select * from sqlite_master",
    "select * from meta",
    "select * from distinct_ids",
    "select * from person_overrides",
    "select * from imported_chunks",
    "select current_setting('memory_limit')",
    "select getenv('HOME')",
    "select read_text('/etc/passwd')",
    "select version()",
    "select query('select 1')",
    "select getvariable('x')",
    "select sleep(10)",
    "select events.project_id from events",
    "select project_id from events",
    "select team_id from events",
    "select 1 as team_id from events",
    "select known_at from events",
    "select property_0 from events",
    "select nothing from events",
    "select f0 from events",
    "select t1.f0 from events",
    "select c0 from (select event from events)",
    "copy events to 'x.csv'",
    "attach 'x.duckdb'",
    "pragma database_list",
    "install httpfs",
    "load httpfs",
    "set memory_limit = '1TB'",
    "export database 'x'",
    "import database 'x'",
    "insert into events select * from events",
    "delete from events",
    "update events set event = 'x'",
    "drop table events",
    "create table x as select 1",
    "alter table events drop column event",
    "call pragma_version()",
    "explain select 1",
    "describe events",
    "show tables",
    "select 1; select 2",
    "select 1; drop table events",
    "values (1)",
    "table events",
    "with recursive x as (select 1 union all select * from x) select * from x",
    "with x as (select * from x) select * from x",
    "with a as b select a from events",
    "with a + 1 as a select a",
    "select 1 settings max_threads = 1",
    "select 1 format JSON",
    "select 1 into outfile 'x'",
    "select event from events for update",
    "select event from events final",
    "select event from events sample 0.1",
    "select event from events prewhere 1",
    "select number from numbers(3) qualify row_number() over () = 1 limit 1 by number",
    "select event from events limit 1 with ties",
    "select columns('e') from events",
    "select * except (event) from events",
    "select * replace (1 as event) from events",
    "select event from events e(a)",
    "select event from (values (1)) t",
    "select event from events asof join persons on 1",
    "select event from events positional join persons",
    "select countIf(1) filter (where 1) from events",
    "select row_number() filter (where 1) over () from events",
    "select lower(event) filter (where 1) from events",
    "select count() filter (where count() > 1) from events",
    "select exists (select nothing from events)",
    "select count() as c, (select c) from events",
    "select exists (select 1 from secrets)",
    "with x as (select count() as c from persons where id = e.person_id) select (select c from x) from events e",
    "select 1 where match('a', '" + "a" * 1001 + "')",
    "select 1 where match('a', '(')",
    "select 1 where match('a', event)",
    "select '" + "a" * 100_001 + "'",
    "select " + "(" * 100 + "1" + ")" * 100,
    "select " + "-" * 3 + " 1" + "+1" * 5000,
    "select " + "not " * 500 + "1",
    "select " + "f(" * 100 + "1" + ")" * 100,
    "select " + "[" * 100 + "1" + "]" * 100,
    "select " + "case when 1 then " * 100 + "1" + " end" * 100,
    "select * from " + "(select * from " * 60 + "events" + ")" * 60,
    " union all ".join(["select 1"] * 500),
    "select 1 from events e0 " + " ".join(f"join events e{n} on 1" for n in range(1, 60)),
    "select repeat('a', 1000000000)" * 2,
    "",
    "   ",
    "select",
    "select from events",
    "select '",
    "select `",
    "select /*",
    "select \x00",
    "select 'a' from events where",
    "select {filters",
    "select {nothing} from events",
    "select {filters} from persons",
    "select lower(1, 2, 3)",
    "select count(1)(2)",
    "select lower(distinct 'a')",
    "select sum(count()) from events",
    "select event from events group by 7",
    "select event from events order by 9",
    "select event from events limit -1",
    "select event from events limit event",
    "select toDate('x')",
    "select timestamp + 'x' from events",
    "select 1 + [1]",
    "select 'a' = [1]",
    "select arrayMap(1, [1])",
    "select arrayMap((x, y) -> x, [1])",
    "select tuple(1, 2).9",
    "select interval 1 day",
    "select interval 99999999999 day",
    "select 9223372036854775807 * 9223372036854775807",
    "select event from events union all select 1, 2",
    "select event from events union all select 1",
    "select (select event, uuid from events) from events",
    "select event from events where event in (select event, uuid from events)",
    "select event from events where person_id in cohort 5",
    "select event, event from events e join events e on 1",
    "select uuid from events a join events b on a.uuid = b.uuid",
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:60])
def test_what_is_not_listed_is_refused_with_its_place(stores, text):
    with pytest.raises(InvalidQuery) as refusal:
        ask(stores[0], text)
    assert refusal.value.path == "query.query"
    assert "Error:" not in str(refusal.value)  # nothing of the engine's own words


HARMLESS = [
    "select 'it''s', 'a\\'b', '\"; drop table events; --' as x",
    'select event as "a"" b; --" from events',
    "select event as `select 1; drop table events` from events",
    "select 1 -- '; drop table events",
    "select 1 # drop",
    "select 1 /* ; drop table events */",
    "select properties.`x'; drop table events; --` from events",
    "select properties['a\"b/c~d'] from events",
    "select repeat('a', 1000000000)",
    "select length(repeat('ab', 100000))",
    "select length(range(1000000000))",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_names_and_texts_never_become_sql(stores, text):
    ask(stores[0], text)
    assert ask(stores[0], "select count() from events")["results"] == [[39]]


# -- generated queries -----------------------------------------------------------------------------------------------

TABLES = {
    "events": ["poe.properties.email", "poe.properties", "event", "distinct_id", "properties.plan", "properties.n", "timestamp", "person_id", "$session_id",
               "person.properties.email", "group_0.properties.name", "session.$session_duration", "uuid", "properties",
               "$group_0", "person.created_at", "elements_chain", "session.distinct_id"],
    "persons": ["id", "properties.email", "created_at", "properties", "is_identified", "pdi.distinct_id"],
    "person_distinct_ids": ["distinct_id", "person_id", "person.properties", "person.created_at"],
    "groups": ["index", "key", "properties.name", "properties", "created_at"],
    "sessions": ["session_id", "distinct_id", "$session_duration", "$start_timestamp", "$pageview_count"],
    "cohort_people": ["person_id", "cohort_id"],
    "static_cohort_people": ["person_id", "cohort_id"],
}  # fmt: skip


@st.composite
def expressions(draw, names, depth=2):
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from([*names, "1", "'a'", "NULL", f"'{MARK}'"]))
    inner = expressions(names, depth - 1)
    one, two, three = draw(inner), draw(inner), draw(inner)
    forms = [
        "lower({0})", "concat({0}, {1})", "if({0} = {1}, {2}, {2})", "coalesce({0}, {0})", "toString({0})",
        "({0} = {1})", "({0} != {1})", "toInt({0})", "length(toString({0}))", "({0} in ({1}, {2}))", "not {0}",
        "({0} like '%{m}%')", "toFloat({0}) / 3", "[{0}, {0}]", "tuple({0}, {1})", "({0} is null)", "(1 = 1 or {0})",
        "arrayMap(x -> concat(toString(x), toString({1})), [{0}])", "multiIf({0} = {1}, 1, 0 = 1, 2, 3)",
        "({0} > {1})", "toTypeName({0})", "match(toString({0}), '{m}')", "substring(toString({0}), 1, 3)",
    ]  # fmt: skip
    return draw(st.sampled_from(forms)).format(one, two, three, m=MARK)


@st.composite
def selects(draw, depth=2, n_columns=None):
    table = draw(st.sampled_from(sorted(TABLES)))
    names = [f"a.{name}" for name in TABLES[table]]
    source = f"{table} a"
    if depth and draw(st.integers(0, 2)) == 0:
        other = draw(st.sampled_from(sorted(TABLES)))
        keys = draw(st.sampled_from(names)), draw(st.sampled_from([f"b.{name}" for name in TABLES[other]]))
        how = draw(st.sampled_from(["join", "left join", "right join", "full join"]))
        source += f" {how} {other} b on toString({keys[0]}) = toString({keys[1]})"
        names += [f"b.{name}" for name in TABLES[other]]
    elif depth and draw(st.integers(0, 2)) == 0:
        columns = [draw(expressions(names)) for _ in range(2)]
        source = f"(select {columns[0]} as x, {columns[1]} as y from {source}) a"
        names = ["a.x", "a.y"]
    items = expressions(names)
    columns = [draw(items) for _ in range(n_columns or draw(st.integers(1, 3)))]
    text = ""
    if draw(st.booleans()):
        text += f" where {draw(items)} = {draw(items)}" if draw(st.booleans()) else f" where {draw(items)}"
    elif depth and draw(st.booleans()):
        key = draw(st.sampled_from(["z.distinct_id", "z.person_id", "z.person.properties.email"]))
        text += (
            f" where exists (select 1 from events z where toString({key}) = toString({draw(st.sampled_from(names))}))"
        )
    elif depth and draw(st.booleans()):
        inner = draw(selects(0, 1))
        text += f" where {draw(st.sampled_from(names))} {draw(st.sampled_from(['in', 'not in']))} ({inner})"
    if draw(st.booleans()):
        key = draw(items)
        aggregates = ["count()", "uniq({})", "min({})", "max({})", "countIf({} = 1)", "arraySort(groupUniqArray({}))"]
        columns = [draw(st.sampled_from(aggregates)).format(draw(items)) for _ in columns]
        columns[0] = key if len(columns) > 1 else columns[0]
        text += f" group by {key}"
    text = f"select {', '.join(columns)} from {source}{text}"
    if depth == 2 and draw(st.integers(0, 4)) == 0:
        return f"{text} union all {draw(selects(1, len(columns)))}"
    return text


def outcome(store, text):
    """What a query gives, as a set of rows; or the message that refuses it."""
    try:
        body = ask(store, f"select * from ({text}) limit 5000")
    except InvalidInput as error:
        return str(error)
    return body["types"], sorted(json.dumps(row) for row in body["results"])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=selects())
def test_answers_do_not_depend_on_other_projects(stores, text):
    both, alone = (outcome(store, text) for store in stores)
    assert both == alone


PHYSICAL = frozenset(
    {"events", "persons", "distinct_ids", "person_overrides", "groups", "group_types", "cohort_people", "meta",
     "imported_chunks", "person_versions"}
)  # fmt: skip


def unfiltered(tree):
    """Yield the tables that a statement reads without asking for the project."""
    for table in tree.find_all(exp.Table):
        if table.name not in PHYSICAL:
            assert table.name.startswith("w") or isinstance(table.this, exp.Anonymous), table.sql()
            continue
        select = table.find_ancestor(exp.Select)
        tests = [one for one in select.find_all(exp.EQ) if one.find_ancestor(exp.Select) is select]
        own = {one.this.table for one in tests if one.this.name == "project_id"}
        if not own & {table.alias_or_name, ""}:
            yield table.name


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=selects(), has_merges=st.booleans())
def test_every_table_stands_behind_its_project(text, has_merges):
    statement = Statement(OURS, lambda _: True, has_merges=has_merges)
    query = Query(Environment(statement, Scope(now=NOW), "query"))
    try:
        selected = query.translate(parse_select(text, "query"))
    except InvalidQuery:
        return
    sql = query.with_definitions(selected.sql)
    assert list(unfiltered(sql)) == []
    literals = {literal.this for literal in sql.find_all(exp.Literal) if literal.is_string}
    assert not any(MARK in literal for literal in literals)
