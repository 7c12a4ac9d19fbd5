"""Events, persons and definitions over HTTP: what was captured, one by one."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from .conftest import Api, error


@pytest.fixture
def captured(log):
    log.project(1).capture(
        [
            {"event": "signed up", "distinct_id": "a", "timestamp": "2026-04-01T10:00:00Z", "properties": {"n": 1}},
            {"event": "paid", "distinct_id": "a", "timestamp": "2026-04-01T11:00:00Z",
             "properties": {"price": 9.5, "plan": "pro", "$set": {"email": "ann@example.com", "age": 41}}},
            {"event": "paid", "distinct_id": "b", "timestamp": "2026-04-01T12:00:00Z",
             "properties": {"price": 3, "plan": "free", "$elements_chain": "button"}},
            {"event": "seen", "distinct_id": "c", "timestamp": "2026-04-01T13:00:00Z",
             "properties": {"$process_person_profile": False, "at": "2026-01-01"}},
        ]
    )  # fmt: skip
    log.project(2).capture(
        [{"event": "secret", "distinct_id": "a", "properties": {"confidential": 1, "$set": {"x": 1}}}]
    )


def names(answer):
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json["results"]]


def events(answer):
    assert answer.status_code == 200, answer.text
    return [(one["event"], one["distinct_id"]) for one in answer.json["results"]]


def test_events_are_listed_newest_first_with_their_persons(api, captured):
    page = api.get("/events/").json
    assert [one["event"] for one in page["results"]] == ["seen", "paid", "paid", "signed up"]
    assert page["next"] is None
    first, second = page["results"][0], page["results"][1]
    assert (first["person"], first["timestamp"]) == (None, "2026-04-01T13:00:00Z")
    assert second["elements_chain"] == "button"
    assert second["person"]["distinct_ids"] == ["b"]
    assert api.get(f"/events/{second['id']}/").json == second


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("event=paid", [("paid", "b"), ("paid", "a")]),
        ("distinct_id=a", [("paid", "a"), ("signed up", "a")]),
        ("after=2026-04-01T11:00:00Z&before=2026-04-01T13:00:00Z", [("paid", "b")]),
        ('properties=[{"key":"price","value":5,"operator":"gt"}]', [("paid", "a")]),
        ('properties=[{"key":"email","value":"ann@example.com","type":"person"}]', [("paid", "a"), ("signed up", "a")]),
        ('orderBy=["timestamp"]&event=paid', [("paid", "a"), ("paid", "b")]),
        ("orderBy=timestamp&limit=2", [("signed up", "a"), ("paid", "a")]),
        ('orderBy=["-timestamp"]&limit=1', [("seen", "c")]),
        ("event=secret", []),
        ("limit=1&offset=1", [("paid", "b")]),
    ],
)
def test_events_are_filtered(api, captured, query, expected):
    assert events(api.get("/events/", query_string=query)) == expected


def test_events_of_a_person_are_those_after_merges(api, log, captured):
    log.project(1).capture([{"event": "$identify", "distinct_id": "b", "properties": {"$anon_distinct_id": "a"}}])
    person = api.get("/persons/", query_string="distinct_id=a").json["results"][0]
    assert sorted(person["distinct_ids"]) == ["a", "b"]
    found = events(api.get("/events/", query_string=f"person_id={person['uuid']}"))
    assert found == [("$identify", "b"), ("paid", "b"), ("paid", "a"), ("signed up", "a")]


def test_pages_of_events_do_not_move_when_more_arrive(api, log, captured):
    page = api.get("/events/", query_string="limit=2").json
    log.project(1).capture([{"event": "late", "distinct_id": "z"}])
    rest = api.get("/events/", query_string=urlsplit(page["next"]).query)
    assert events(rest) == [("paid", "a"), ("signed up", "a")]
    assert rest.json["next"] is None


def test_filters_that_cannot_be_read_name_the_parameter(api, captured):
    error(api.get("/events/", query_string="after=soon"), 400, "validation_error", "invalid_input", attr="after")
    wrong = api.get("/events/", query_string='properties=[{"key":"x","operator":"near","value":1}]')
    assert (wrong.status_code, wrong.json["attr"][:10]) == (400, "properties")
    assert api.get("/persons/", query_string="properties={").json["attr"] == "properties"
    error(api.get("/persons/", query_string="cohort=x"), 400, "validation_error", "invalid_input", attr="cohort")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["b", "ann@example.com"]),
        ("search=ANN", ["ann@example.com"]),
        ("email=ann@example.com", ["ann@example.com"]),
        ("distinct_id=b", ["b"]),
        ("distinct_id=c", []),
        ('properties=[{"key":"age","value":40,"operator":"gt"}]', ["ann@example.com"]),
        ("limit=1&offset=1", ["ann@example.com"]),
        ("offset=2", []),
    ],
)
def test_persons_are_listed_newest_first(api, captured, query, expected):
    assert names(api.get("/persons/", query_string=query)) == expected


def test_a_page_of_persons_tells_how_many_fit_on_all(api, captured):
    assert [
        api.get("/persons/", query_string=query).json["count"]
        for query in ("", "limit=1", "offset=9", "search=ann", "search=nobody", "distinct_id=b")
    ] == [2, 2, 2, 1, 0, 1]
    page = api.get("/persons/", query_string="limit=1").json
    assert (page["next"].partition("?")[2], page["previous"]) == ("limit=1&offset=1", None)
    page = api.get("/persons/", query_string="limit=1&offset=1").json
    assert (page["next"], page["previous"].partition("?")[2]) == (None, "limit=1")


def test_a_person_is_found_by_uuid_and_by_distinct_id(api, captured):
    (one,) = api.get("/persons/", query_string="distinct_id=a").json["results"]
    assert one["properties"] == {"email": "ann@example.com", "age": 41}
    assert api.get(f"/persons/{one['uuid']}/").json == api.get("/persons/a/").json == one
    error(api.get("/persons/nobody/"), 404, "invalid_request", "not_found", "Not found.")


def test_event_definitions_are_listed_with_their_times(api, captured):
    page = api.get("/event_definitions/").json
    assert [(one["name"], one["first_seen_at"]) for one in page["results"]] == [
        ("paid", "2026-04-01T11:00:00Z"), ("seen", "2026-04-01T13:00:00Z"), ("signed up", "2026-04-01T10:00:00Z"),
    ]  # fmt: skip
    assert names(api.get("/event_definitions/", query_string="ordering=-last_seen_at&limit=2")) == ["seen", "paid"]
    assert names(api.get("/event_definitions/", query_string="search=IGN")) == ["signed up"]
    one = page["results"][0]
    assert api.get(f"/event_definitions/{one['id']}/").json == one
    wrong = api.get("/event_definitions/", query_string="ordering=size")
    error(wrong, 400, "validation_error", "invalid_input", attr="ordering")


def test_property_definitions_are_listed_with_their_types(api, captured):
    page = api.get("/property_definitions/", query_string='event_names=["paid"]').json
    assert {one["name"]: (one["property_type"], one["is_seen_on_filtered_events"]) for one in page["results"]} == {
        "$elements_chain": ("String", True), "$process_person_profile": ("Boolean", False), "at": ("DateTime", False),
        "n": ("Numeric", False), "plan": ("String", True), "price": ("Numeric", True),
    }  # fmt: skip
    assert names(api.get("/property_definitions/", query_string="is_numerical=true")) == ["n", "price"]
    assert names(api.get("/property_definitions/", query_string="type=person")) == ["age", "email"]
    only = 'event_names=["signed up"]&filter_by_event_names=true'
    assert names(api.get("/property_definitions/", query_string=only)) == ["n"]
    chosen = 'properties=n,plan&excluded_properties=["plan"]'
    assert names(api.get("/property_definitions/", query_string=chosen)) == ["n"]
    one = page["results"][0]
    assert api.get(f"/property_definitions/{one['id']}/").json["name"] == one["name"]


def test_events_of_an_action_are_listed(api, captured):
    steps = [{"event": "paid", "properties": [{"key": "plan", "value": "pro"}]}, {"event": "seen"}]
    action = api.post("/actions/", {"name": "went on", "steps": steps}).json["id"]
    assert events(api.get("/events/", query_string=f"action_id={action}")) == [("seen", "c"), ("paid", "a")]
    paid = api.post("/actions/", {"name": "paid", "steps": [{"event": "paid"}]}).json["id"]
    assert events(api.get("/events/", query_string=f"action_id={paid}")) == [("paid", "b"), ("paid", "a")]
    assert events(api.get("/events/", query_string=f"action_id={paid}&event=seen")) == []


def test_oldest_first_pages_go_on(api, captured):
    first = api.get("/events/", query_string="orderBy=timestamp&limit=3").json
    assert [one["event"] for one in first["results"]] == ["signed up", "paid", "paid"]
    rest = api.get("/events/", query_string=urlsplit(first["next"]).query)
    assert (events(rest), rest.json["next"]) == ([("seen", "c")], None)


@pytest.mark.parametrize(
    ("query", "attr"),
    [("action_id=99", "action_id"), ("action_id=x", "action_id"), ("orderBy=name", "orderBy"), ("orderBy=[1", "orderBy"),
     ('orderBy=["name"]', "orderBy"), ("orderBy=[1]", "orderBy")],
)  # fmt: skip
def test_what_events_cannot_be_asked_is_refused(api, captured, query, attr):
    error(api.get("/events/", query_string=query), 400, "validation_error", "invalid_input", attr=attr)


def test_numbers_beyond_64_bit_are_shown_as_doubles(api, log):
    """A client may send any number; orjson reads such ones as doubles, the reader for odd texts as they are."""
    wide = {"n": 10**30, "deep": [{"n": -(10**20)}], "endless": 10**400}
    body = json.dumps({"api_key": "phc_one", "batch": [
        {"event": "big", "distinct_id": "a", "properties": {**wide, "odd": "ODD", "$set": wide}},
        {"event": "$groupidentify", "distinct_id": "a",
         "properties": {"$group_type": "org", "$group_key": "x", "$group_set": wide}},
    ]})  # fmt: skip
    sent = api.client.simulate_post("/batch/", body=body.replace("ODD", "\\ud800"))
    assert sent.status_code == 200
    shown = {"n": 1e30, "deep": [{"n": -1e20}], "endless": None}

    def same(properties):
        return {name: properties[name] for name in wide} == shown

    (one,) = api.get("/events/", query_string="event=big").json["results"]
    assert same(one["properties"])
    assert same(api.get("/persons/").json["results"][0]["properties"])
    assert same(api.get("/groups/", query_string="group_type_index=0").json["results"][0]["group_properties"])
    for query in ({"kind": "EventsQuery", "select": ["*"], "event": "big"}, {"kind": "ActorsQuery"}):
        for refresh in ("force_blocking", "blocking"):
            answer = api.post("/query/", {"query": query, "refresh": refresh})
            assert (answer.status_code, same(answer.json["results"][0][0]["properties"])) == (200, True), query


def test_an_event_is_found_by_its_name(api, captured):
    one = api.get("/event_definitions/", query_string="search=paid").json["results"][0]
    api.patch(f"/event_definitions/{one['id']}/", {"description": "Money came"})
    found = api.get("/event_definitions/by_name/", query_string="name=paid")
    assert (found.json["id"], found.json["description"]) == (one["id"], "Money came")
    for name in ("PAID", "pai", "secret"):
        error(api.get("/event_definitions/by_name/", query_string=f"name={name}"), 404, "invalid_request", "not_found")
    error(api.get("/event_definitions/by_name/"), 400, "validation_error", "required", attr="name")


def test_values_of_a_property_are_listed(api, captured):
    assert {one["name"] for one in api.get("/events/values/", query_string="key=plan").json} == {"pro", "free"}
    assert api.get("/events/values/", query_string="key=plan&value=PR").json == [{"name": "pro"}]
    assert api.get("/persons/values/", query_string="key=age").json == [{"name": "41"}]
    error(api.get("/persons/values/"), 400, "validation_error", "required", "You must provide a key", "key")


@pytest.mark.parametrize(
    ("names", "values"),
    [("event_name=paid", ["free", "pro"]), ("event_name=signed up", []),
     ("event_name=paid&event_name=signed up", ["free", "pro"]), ('event_name=["paid"]', ["free", "pro"]),
     ("event_name=", ["free", "pro"])],
)  # fmt: skip
def test_values_are_those_of_the_named_events(api, captured, names, values):
    found = api.get("/events/values/", query_string=f"key=plan&{names}").json
    assert sorted(one["name"] for one in found) == values


def test_names_of_own_events_are_listed_as_values(log, api, captured):
    log.project(1).capture([{"event": "$pageview", "distinct_id": "a"}])
    names = [one["name"] for one in api.get("/events/values/", query_string="key=custom_event").json]
    assert "$pageview" not in names
    assert {"paid", "signed up"} <= set(names)
    assert api.get("/events/values/", query_string="key=custom_event&value=PAI").json == [{"name": "paid"}]


@pytest.mark.parametrize(
    "properties",
    [{"$elements": [{"tag_name": "a", "$el_text": "Go", "attr__href": "/x", "nth_child": 1}, {"tag_name": "body"}]},
     {"$elements_chain": 'a:href="/x"nth-child="1"text="Go";body'}],
)  # fmt: skip
def test_an_event_shows_what_was_clicked(log, api, properties):
    log.project(1).capture([{"event": "$autocapture", "distinct_id": "clicker", "properties": properties}])
    (event,) = api.get("/events/", query_string="distinct_id=clicker").json["results"]
    assert event["elements_chain"] == 'a:href="/x"nth-child="1"text="Go";body'
    shown = [(one["tag_name"], one["text"], one["href"], one["nth_child"]) for one in event["elements"]]
    assert shown == [("a", "Go", "/x", 1), ("body", None, None, None)]
    assert api.get(f"/events/{event['id']}/").json == event


@pytest.mark.parametrize("path", ["/events/", "/persons/", "/event_definitions/", "/property_definitions/"])
def test_reading_keeps_to_the_project_and_the_scope(api, app, with_scopes, captured, path):
    text = json.dumps(api.get(path).json) + json.dumps(api.get(path, query_string="type=person").json)
    assert "secret" not in text
    assert "confidential" not in text
    assert "secret" not in json.dumps(api.get(path, query_string='properties=[{"key":"confidential","value":1}]').json)
    refused = with_scopes("insight:read").get(path)
    assert (refused.status_code, refused.json["code"]) == (403, "permission_denied")
    assert with_scopes("*", projects=(2,), project=1).get(path).status_code == 403
    assert Api(app, None).get(path).status_code == 401


def test_another_projects_event_and_person_are_not_found(log, app, api, captured):
    other = Api(app, api.key, project=2)
    event = other.get("/events/").json["results"][0]["id"]
    person = other.get("/persons/").json["results"][0]["uuid"]
    assert other.get(f"/events/{event}/").status_code == 200
    for path in (f"/events/{event}/", f"/persons/{person}/"):
        error(api.get(path), 404, "invalid_request", "not_found", "Not found.")


def test_queries_read_properties_by_the_types_that_were_seen(api, log, captured):
    asked = {"kind": "HogQLQuery", "query": "SELECT sum(properties.price) FROM events WHERE event = 'paid'"}
    assert api.post("/query/", {"query": asked}).json["results"] == [[12.5]]


def test_what_people_say_of_names_is_kept_and_shown(api, log, captured):
    one = api.get("/event_definitions/", query_string="search=paid").json["results"][0]
    said = {"description": "Money came", "tags": [" Money ", "core"], "verified": True}
    changed = api.patch(f"/event_definitions/{one['id']}/", said).json
    assert (changed["description"], changed["tags"], changed["verified"]) == ("Money came", ["core", "money"], True)
    assert changed["updated_by"]["email"] == "ines@example.com"
    assert api.get(f"/event_definitions/{one['id']}/").json == changed
    assert api.get("/event_definitions/", query_string="search=paid").json["results"] == [changed]
    before = log.position()
    assert api.patch(f"/event_definitions/{one['id']}/", said).json == changed
    assert log.position() == before, "nothing changed, nothing is written"
    assert log.as_of("position:1").names_of(1).said() == {}


def test_queries_read_a_property_by_the_type_that_people_give_it(api, log, captured):
    asked = {"kind": "HogQLQuery", "query": "SELECT properties.price FROM events WHERE distinct_id = 'b'"}
    (one,) = api.get("/property_definitions/", query_string="search=price").json["results"]
    assert api.post("/query/", {"query": asked}).json["results"] == [[3.0]]
    as_text = api.patch(f"/property_definitions/{one['id']}/", {"property_type": "String"}).json
    assert (as_text["property_type"], as_text["is_numerical"]) == ("String", False)
    assert api.post("/query/", {"query": asked}).json["results"] == [["3"]]
    api.patch(f"/property_definitions/{one['id']}/", {"property_type": "Numeric"})
    assert api.post("/query/", {"query": asked}).json["results"] == [[3.0]]


def test_what_may_not_be_said_of_a_name_is_refused(api, app, log, with_scopes, captured):
    one = api.get("/property_definitions/", query_string="search=price").json["results"][0]
    path = f"/property_definitions/{one['id']}/"
    for given, attr, code in (
        ({"property_type": "Money"}, "property_type", "invalid_input"),
        ({"tags": "core"}, "tags", "invalid_input"),
        ({"verified": 1}, "verified", "invalid_input"),
        ({"description": "x" * 401}, "description", "max_length"),
    ):
        error(api.patch(path, given), 400, "validation_error", code, attr=attr)
    assert api.get(path).json == one
    assert with_scopes("property_definition:read").patch(path, {"verified": True}).status_code == 403
    assert Api(app, api.key, project=2).patch(path, {"verified": True}).status_code == 404
