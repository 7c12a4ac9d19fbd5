"""JSON becomes query nodes, or is refused with the path of the wrong field."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.application.query_nodes import check_storable, is_known_kind, parse_query
from insightlog.domain.errors import InvalidQuery, UnsupportedQuery

SERIES = [{"kind": "EventsNode", "event": "a"}]


def a_query(**more):
    return {"kind": "TrendsQuery", "series": SERIES, **more}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        (a_query(series=[{"kind": "EventsNode", "math": "nope"}]), "query.series[0].math"),
        (
            a_query(series=[*SERIES, {"kind": "EventsNode", "properties": [{"key": "a"}, 3]}]),
            "query.series[1].properties[1]",
        ),
        (a_query(foo=1), "query.foo"),
        (a_query(dateRange={"from": 1}), "query.dateRange.from"),
        (a_query(dateRange={"explicitDate": "yes"}), "query.dateRange.explicitDate"),
        (a_query(interval="fortnight"), "query.interval"),
        (a_query(breakdownFilter={"breakdown_limit": True}), "query.breakdownFilter.breakdown_limit"),
        (a_query(properties={"type": "XOR", "values": []}), "query.properties.type"),
        ({"kind": "TrendsQuery"}, "query.series"),
        ({"kind": "Nope"}, "query.kind"),
        ({"kind": "InsightVizNode", "source": a_query(), "foo": 1}, "query.foo"),
        ({"kind": "InsightVizNode", "source": a_query(foo=1)}, "query.source.foo"),
        ({"kind": "InsightVizNode"}, "query.source"),
        ([], "query"),
    ],
)
def test_wrong_field_is_named(query, path):
    with pytest.raises(InvalidQuery) as refused:
        parse_query(query)
    assert refused.value.path == path
    assert not isinstance(refused.value, UnsupportedQuery)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"kind": "WebOverviewQuery"}, "query.kind"),
        (a_query(series=[{"kind": "DataWarehouseNode", "id": "x"}]), "query.series[0]"),
    ],
)
def test_what_is_not_built_says_so(query, path):
    with pytest.raises(UnsupportedQuery) as refused:
        parse_query(query)
    assert refused.value.path == path


def test_presentation_fields_and_wrappers_are_accepted():
    query = a_query(
        trendsFilter={"showLegend": True, "goalLines": [], "yAxisScaleType": "log10"},
        tags={"a": "b"},
        version=2,
        modifiers={"x": 1},
        dataColorTheme=None,
    )
    assert parse_query({"kind": "InsightVizNode", "source": query, "full": True}) == parse_query(query)


def test_unknown_fields_can_be_stored_but_wrong_ones_cannot():
    check_storable({"kind": "InsightVizNode", "source": a_query(future=1), "future": 2})
    check_storable({"kind": "DataTableNode", "source": {"kind": "FutureQuery"}})
    with pytest.raises(InvalidQuery):
        check_storable(a_query(series="a"))
    with pytest.raises(InvalidQuery):
        check_storable({"kind": "Nope"})


def test_kinds_that_are_not_built_are_known():
    assert is_known_kind("FunnelsQuery")
    assert not is_known_kind("Nope")
    assert not is_known_kind(["TrendsQuery"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    field=st.sampled_from(
        [
            "series",
            "interval",
            "dateRange",
            "properties",
            "trendsFilter",
            "breakdownFilter",
            "compareFilter",
            "samplingFactor",
            "filterTestAccounts",
            "conversionGoal",
            "aggregation_group_type_index",
        ]
    ),
    value=JSON,
)
def test_any_json_is_read_or_refused(field, value):
    with suppress(InvalidQuery):
        assert parse_query(a_query(**{field: value})).kind == "TrendsQuery"
