"""Statements 20 to 40 of the contract's checklist: lists, their pages, filters and order."""

from __future__ import annotations

import json

import pytest
from tests.builders import TREND
from tests.http.conftest import error
from tests.http.test_insights import BASIC_KEYS

SQL = {"kind": "DataVisualizationNode", "source": {"kind": "HogQLQuery", "query": "select 1"}}


def viz(kind, **fields):
    return {"kind": "InsightVizNode", "source": {"kind": kind, "series": [], **fields}}


def test_020_a_page_has_100_items_and_absolute_links(log, api):
    for n in range(103):
        log.project(1).insights.create(name=f"n{n}")
    page = api.get("/insights/", params={"basic": "true"}).json
    assert (page["count"], len(page["results"]), page["previous"]) == (103, 100, None)
    page = api.get("/insights/?order=name&limit=2&offset=1&basic=true&x=1&x=").json
    assert (page["count"], [one["name"] for one in page["results"]]) == (103, ["n1", "n10"])
    start, end = "http://falconframework.org/api/projects/1/insights/?basic=true&limit=2", "&order=name&x=1&x="
    assert (page["next"], page["previous"]) == (f"{start}&offset=3{end}", f"{start}{end}")


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_021_a_limit_that_is_none_is_no_limit(api, limit):
    made = [api.create()["id"] for _ in range(3)]
    assert api.listed(limit=limit) == made
    assert api.listed(limit="2", offset=limit) == made[:2]


def test_022_an_offset_past_the_end_is_an_empty_page_with_the_count(api):
    api.create()
    page = api.get("/insights/", params={"offset": "50"}).json
    assert (page["count"], page["results"], page["next"]) == (1, [], None)


def test_023_deleted_insights_are_not_listed(api):
    kept, gone = api.create(name="a"), api.create(name="b")
    api.changed(gone, deleted=True)
    assert api.listed() == [kept["id"]]
    for params in ({"short_id": gone["short_id"]}, {"search": "b"}, {"saved": "true"}, {"order": "-id"}):
        assert gone["id"] not in api.listed(**params)


def test_024_basic_has_exactly_the_keys_of_2_7(api):
    api.create(name="a", query=TREND)
    for value in ("true", "1", "YES", "t"):
        assert list(api.get("/insights/", params={"basic": value}).json["results"][0]) == BASIC_KEYS
    assert len(BASIC_KEYS) == 21


def test_025_short_id_finds_one_and_none_of_another_project(api, other):
    api.create(name="a")
    mine, theirs = api.create(name="b"), other.create(name="secret")
    assert api.listed(short_id=mine["short_id"]) == [mine["id"]]
    assert api.listed(short_id=theirs["short_id"]) == []


def test_026_favorited_counts_by_its_presence(api):
    api.create(name="a")
    liked = api.create(name="b", favorited=True)
    for value in ("false", "true", "", "anything"):
        assert api.listed(favorited=value) == [liked["id"]]


def test_027_user_finds_the_callers_own(api, omar):
    mine, theirs = api.create(name="a"), omar.create(name="b")
    for value in ("anything", "false", ""):
        assert api.listed(user=value) == [mine["id"]]
        assert omar.listed(user=value) == [theirs["id"]]
    assert api.listed(user="1", created_by=f"[{theirs['created_by']['id']}]") == []


def test_028_saved_takes_what_is_on_a_dashboard(api):
    board, gone = api.board("a"), api.board("b")
    saved = api.create(name="saved")
    placed = api.create(name="placed", saved=False, dashboards=[board])
    loose = api.create(name="loose", saved=False)
    orphan = api.create(name="orphan", saved=False, dashboards=[gone])
    api.patch(f"/dashboards/{gone}/", {"deleted": True})
    assert api.listed(saved="true") == [saved["id"], placed["id"]]
    assert api.listed(saved="false") == [placed["id"], loose["id"], orphan["id"]]


def test_029_created_by_is_one_or_several(api, omar, somebody):
    mine, theirs, third = api.create(), omar.create(), somebody().create()
    assert api.listed(created_by="2") == api.listed(created_by="[2]") == [theirs["id"]]
    assert api.listed(created_by="[1,2]") == [mine["id"], theirs["id"]]
    assert api.listed(created_by="[]") == api.listed(created_by="") == [mine["id"], theirs["id"], third["id"]]


def test_030_tags_are_or_and_dashboards_are_and(api):
    first, second = api.board("a"), api.board("b")
    both = api.create(tags=["a", "b"], dashboards=[first, second])
    one = api.create(tags=["b"], dashboards=[first])
    api.create(tags=["c"])
    assert api.listed(tags='["a","b"]') == [both["id"], one["id"]]
    assert api.get("/insights/", params={"tags": '["a","b"]'}).json["count"] == 2
    assert api.listed(dashboards=f"[{first},{second}]") == [both["id"]]
    assert api.listed(dashboards=f"[{first}]") == [both["id"], one["id"]]
    assert api.listed(dashboards=f"[{first},{second}]", tags='["c"]') == []


def test_031_insight_finds_by_type(api):
    legacy = api.create(filters={"insight": "TRENDS", "events": [{"id": "x"}]})
    trend, funnel = api.create(query=viz("TrendsQuery")), api.create(query=viz("FunnelsQuery"))
    sql, bare = (
        api.create(query=SQL),
        api.create(query={"kind": "DataTableNode", "source": {"kind": "EventsQuery", "select": ["*"]}}),
    )
    assert api.listed(insight="TRENDS") == [legacy["id"], trend["id"]]
    assert api.listed(insight="FUNNELS") == [funnel["id"]]
    assert api.listed(insight="SQL") == [sql["id"]]
    assert api.listed(insight="JSON") == [bare["id"]]
    assert api.listed(insight="NONSENSE") == []


def test_032_search_looks_everywhere_and_ignores_case(api):
    made = {
        "name": api.create(name="Weekly Growth"),
        "tags": api.create(name="d", tags=["growth hacks"]),
        "derived_name": api.create(derived_name="The GROWTH of it"),
        "description": api.create(description="about growth"),
    }
    api.create(name="Nothing of that")
    assert set(api.listed(search="gROWth")) == {one["id"] for one in made.values()}
    assert api.listed(search="gROWth")[0] == made["name"]["id"]
    assert api.listed(search="growth hacks") == [made["tags"]["id"]]
    found = api.get("/insights/", params={"search": "growth"}).json["results"]
    assert {one["search_match_type"] for one in found} == {"exact"}
    for text in ("%", "_", '"', "'", "*", "growth OR nothing", "NEAR(a b)", "-", "a" * 200):
        assert api.listed(search=text) == []
    error(api.get("/insights/", params={"search": "a" * 201}), 400, "validation_error", "max_length", attr="search")


def test_033_events_finds_what_uses_them_all(api):
    both = viz("TrendsQuery") | {}
    both["source"]["series"] = [{"kind": "EventsNode", "event": name} for name in ("signed_up", "paid")]
    first = api.create(query=both)
    second = api.create(query={**TREND, "series": [{"kind": "EventsNode", "event": "signed_up"}]})
    legacy = api.create(filters={"events": [{"id": "signed_up"}]})
    assert api.listed(events='["signed_up"]') == [first["id"], second["id"], legacy["id"]]
    assert api.listed(events='["signed_up","paid"]') == [first["id"]]
    assert api.listed(events='["sign"]') == []


def test_034_dates_are_about_the_right_column_and_strict(api, clock):
    old = api.create(name="old")
    created = clock.now
    clock.forward(days=10)
    new = api.create(name="new")
    assert api.listed(date_from="-7d") == api.listed(created_date_from="-7d") == [new["id"]]
    api.changed(old, name="changed")
    assert api.listed(date_from="-7d") == [old["id"], new["id"]]
    assert api.listed(created_date_from="-7d") == [new["id"]]
    assert api.listed(created_date_to="-7d") == [old["id"]]
    exactly = created.isoformat().replace("+00:00", "Z")
    assert api.listed(created_date_from=exactly) == [new["id"]]
    assert api.listed(created_date_to=exactly) == []
    assert api.listed(last_viewed_date_from="-7d") == [new["id"]]
    assert api.listed(last_viewed_date_to="-7d") == [old["id"]]
    for name in ("date_from", "created_date_to", "last_viewed_date_from"):
        error(api.get("/insights/", params={name: "soon"}), 400, "validation_error", "invalid_input", attr=name)


def test_035_order_sorts_and_without_it_the_order_column_does(api, clock):
    first = api.create(name="b")
    clock.forward(minutes=1)
    second = api.create(name="a", order=2)
    clock.forward(minutes=1)
    third = api.create(name="c", order=1)
    assert api.listed() == [third["id"], second["id"], first["id"]]
    assert api.listed(order="-last_modified_at") == [third["id"], second["id"], first["id"]]
    assert api.listed(order="created_at") == [first["id"], second["id"], third["id"]]
    assert api.listed(order="name") == [second["id"], first["id"], third["id"]]
    assert api.listed(order="-name") == [third["id"], first["id"], second["id"]]


def test_036_never_viewed_comes_last_in_falling_order(log, api, omar, clock):
    never = log.project(1).insights.create(name="never").id
    early, late = api.create()["id"], omar.create()["id"]
    clock.forward(minutes=1)
    api.post(f"/insights/{late}/viewed/")
    assert api.listed(order="-last_viewed_at") == [late, early, never]
    assert api.listed(order="last_viewed_at") == [never, early, late]


@pytest.mark.parametrize("order", ["nonsense", "--id", "id desc", "password", "i.id", "-"])
def test_037_an_unknown_order_is_refused(api, order):
    error(api.get("/insights/", params={"order": order}), 400, "validation_error", "invalid_input", attr="order")


def test_038_an_unknown_parameter_changes_nothing(api):
    api.create(name="a", query=TREND)
    plain = api.get("/insights/").json
    assert (
        api.get("/insights/", params={"nonsense": "1", "deleted": "true", "include_query_insights": "1"}).json == plain
    )
    assert api.get("/insights/", params={"session_id": "s", "client_query_id": "q"}).json == plain


def test_039_last_viewed_at_is_of_anybody(api, omar, clock):
    made = api.create(name="a")
    clock.forward(minutes=5)
    omar.post(f"/insights/{made['id']}/viewed/")
    clock.forward(minutes=5)
    assert api.get("/insights/").json["results"][0]["last_viewed_at"] == "2026-04-02T09:20:30.120000Z"


def test_040_one_broken_query_leaves_the_list_whole(api):
    good = api.create(query=TREND)
    broken = api.create(query={"kind": "InsightVizNode", "source": {"kind": "QuantumQuery"}})
    page = api.get("/insights/", params={"refresh": "blocking"})
    assert page.status_code == 200
    by_id = {one["id"]: one for one in page.json["results"]}
    assert by_id[good["id"]]["result"][0]["count"] == 0
    assert by_id[broken["id"]]["result"] is None
    status = by_id[broken["id"]]["query_status"]
    assert (status["error"], status["complete"]) == (True, True)
    assert json.loads(page.text)["count"] == 2
