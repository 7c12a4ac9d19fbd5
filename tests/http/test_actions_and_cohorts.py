"""Actions and cohorts over HTTP, as clients of PostHog use them."""

from __future__ import annotations

import json
import time

import pytest
from tests.http.conftest import error

PRO = {"type": "AND", "values": [{"key": "plan", "type": "person", "value": "pro"}]}
BOUNDARY = "cut"


@pytest.fixture
def people(log):
    log.project(1).capture(
        [
            {"event": "signed up", "distinct_id": "ann", "properties": {"$set": {"plan": "pro", "email": "a@x.org"}}},
            {"event": "signed up", "distinct_id": "bob", "properties": {"$set": {"plan": "free", "email": "b@x.org"}}},
        ]
    )


def counted(api, cohort_id):
    """Return a cohort once its members are counted."""
    until = time.monotonic() + 60
    while (found := api.get(f"/cohorts/{cohort_id}/").json)["is_calculating"] and time.monotonic() < until:
        time.sleep(0.01)
    return found


def members(api, cohort_id, query=""):
    return [one["distinct_ids"][0] for one in api.get(f"/cohorts/{cohort_id}/persons/{query}").json["results"]]


def a_form(file, **fields):
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
             for name, value in fields.items()]  # fmt: skip
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="csv"; filename="p.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{file}\r\n--{BOUNDARY}--\r\n"
    )
    return {"body": "".join(parts), "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}}


def test_an_action_is_made_read_changed_deleted_and_restored(api):
    steps = [{"event": "$autocapture", "text": "Buy", "text_matching": "contains"}, {"event": "bought"}]
    made = api.post("/actions/", {"name": "Buys", "steps": steps, "tags": ["b", "a"]})
    assert made.status_code == 201
    action = made.json
    assert (action["name"], action["tags"], action["is_action"]) == ("Buys", ["a", "b"], True)
    assert [step["event"] for step in action["steps"]] == ["$autocapture", "bought"]
    assert action["created_by"]["first_name"] == "Ines"
    place = f"/actions/{action['id']}/"
    assert api.get(place).json == action
    assert api.patch(place, {"description": "of anything"}).json["description"] == "of anything"
    assert api.put(place, {"name": "Purchases", "steps": [{"event": "bought"}]}).json["name"] == "Purchases"
    assert api.patch(place, {"deleted": True}).json["deleted"] is True
    assert api.get(place).status_code == 404
    assert api.get("/actions/").json["count"] == 0
    assert api.patch(place, {"deleted": False}).json["deleted"] is False


def test_deleting_for_good_is_refused(api):
    action = api.post("/actions/", {"name": "a"}).json
    cohort = api.post("/cohorts/", {"name": "c", "is_static": True}).json
    for place in (f"/actions/{action['id']}/", f"/cohorts/{cohort['id']}/"):
        refused = api.delete(place)
        assert (refused.status_code, refused.text, refused.headers["Allow"]) == (
            405, "", "GET, PATCH, PUT, HEAD, OPTIONS",
        )  # fmt: skip


def test_lists_have_pages_and_a_search(api):
    for name in ("One", "Two", "Twenty"):
        api.post("/actions/", {"name": name})
        api.post("/cohorts/", {"name": name, "is_static": True})
    for resource in ("actions", "cohorts"):
        page = api.get(f"/{resource}/?search=tw&limit=1").json
        assert (page["count"], [one["name"] for one in page["results"]], page["previous"]) == (2, ["Twenty"], None)
        assert page["next"].endswith(f"/{resource}/?limit=1&offset=1&search=tw")


@pytest.mark.parametrize(
    ("resource", "body", "attr"),
    [
        ("actions", {"steps": [{"url": 1}]}, "steps__0__url"),
        ("actions", {"steps": {}}, "steps"),
        ("actions", {"deleted": "perhaps"}, "deleted"),
        ("actions", {"name": 1}, "name"),
        ("cohorts", {"filters": {"properties": {"type": "AND", "values": [{"type": "cohort", "value": 9}]}}},
         "filters__properties__values__0__value"),
        ("cohorts", {"filters": {"properties": {"type": "AND", "values": [{"type": "moon", "key": "a"}]}}},
         "filters__properties__values__0__type"),
        ("cohorts", {"filters": {"properties": {"type": "AND", "values": [{
            "type": "behavioral", "key": "a", "value": "performed_event_multiple", "event_type": "events",
            "operator": [], "operator_value": 2, "time_value": 3, "time_interval": "day"}]}}},
         "filters__properties__values__0__operator"),
        ("cohorts", {"groups": "none"}, "groups"),
        ("cohorts", {"query": {"kind": "ActorsQuery"}}, "query"),
    ],
)  # fmt: skip
def test_wrong_bodies_are_refused_with_the_field_and_change_nothing(api, resource, body, attr):
    refused = api.post(f"/{resource}/", {"name": "x", **body})
    assert (refused.status_code, refused.json["attr"]) == (400, attr)
    assert api.get(f"/{resource}/").json["count"] == 0


@pytest.mark.parametrize("kind", [None, [], {}, ""])
def test_a_criterion_without_a_type_is_about_a_person(api, people, kind):
    leaf = {"type": kind, "key": "email", "value": "x", "operator": "exact"}
    criteria = {"type": "OR", "values": [{"type": "AND", "values": [leaf]}]}
    assert api.post("/cohorts/", {"name": "x", "filters": {"properties": criteria}}).status_code == 201


def test_unknown_and_foreign_ones_are_not_found(api, log):
    foreign = log.project(2).cohorts.create(name="b", is_static=True).id
    for place in ("/actions/9/", "/actions/x/", f"/cohorts/{foreign}/", f"/cohorts/{foreign}/persons/"):
        error(api.get(place), 404, "invalid_request", "not_found", "Not found.")


def test_scopes_are_asked_for(with_scopes):
    reader = with_scopes("cohort:read", "action:read")
    assert reader.get("/cohorts/").status_code == 200
    assert reader.post("/cohorts/", {"name": "a"}).status_code == 403
    assert reader.post("/actions/", {"name": "a"}).status_code == 403
    assert with_scopes("insight:read").get("/actions/").status_code == 403


def test_members_are_counted_after_making_and_after_a_change(api, people):
    made = api.post("/cohorts/", {"name": "Paying", "filters": {"properties": PRO}}).json
    found = counted(api, made["id"])
    assert (found["count"], found["errors_calculating"], found["cohort_type"]) == (1, 0, "dynamic")
    assert found["last_calculation"] is not None
    wider = {"properties": {"type": "OR", "values": [{**PRO["values"][0], "operator": "is_set"}]}}
    api.patch(f"/cohorts/{made['id']}/", {"filters": wider})
    assert counted(api, made["id"])["count"] == 2


def test_persons_of_a_cohort_have_pages_and_a_search(api, people):
    both = {"properties": {"type": "OR", "values": [{**PRO["values"][0], "value": ["pro", "free"]}]}}
    cohort = api.post("/cohorts/", {"name": "All", "filters": both}).json["id"]
    assert sorted(members(api, cohort)) == ["ann", "bob"]
    assert members(api, cohort, "?search=B@X") == ["bob"]
    assert api.get(f"/cohorts/{cohort}/persons/?search=B@X").json["count"] == 1
    page = api.get(f"/cohorts/{cohort}/persons/?limit=1").json
    assert (page["count"], len(page["results"]), page["next"] is not None) == (2, 1, True)
    assert page["results"][0]["properties"]["email"].endswith("x.org")


def test_persons_are_put_on_a_list_and_taken_off_it(api, people):
    cohort = api.post("/cohorts/", {"name": "Panel", "is_static": True}).json["id"]
    everybody = api.post("/cohorts/", {"groups": [{"properties": {"plan__is_set": "is_set"}}]}).json["id"]
    by_name = {one["distinct_ids"][0]: one["uuid"] for one in api.get(f"/cohorts/{everybody}/persons/").json["results"]}
    adding, removing = (f"/cohorts/{cohort}/{verb}_static_cohort/" for verb in ("add_persons_to", "remove_person_from"))
    nobody = "018f0000-0000-7000-8000-000000000000"
    assert api.patch(adding, {"person_ids": [by_name["ann"], nobody]}).json == {"success": True}
    assert members(api, cohort) == ["ann"]
    assert api.patch(adding, {"distinct_ids": ["bob"]}).json == {"success": True}
    assert api.patch(removing, {"person_id": by_name["ann"]}).json == {"success": True}
    assert members(api, cohort) == ["bob"]
    assert counted(api, cohort)["count"] == 1
    assert api.patch(removing, {"person_id": nobody}).status_code == 404
    assert api.patch(removing, {}).json["attr"] == "person_id"
    assert api.patch(adding, {"person_ids": [7]}).json["attr"] == "person_ids"


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("ann\r\nbob\r\nnobody\r\n", ["ann", "bob"]),
        ("Name,Distinct ID\r\nAnn,ann\r\n", ["ann"]),
        ("email\r\nb@x.org\r\n", ["bob"]),
    ],
)
def test_a_csv_file_makes_a_static_cohort(api, people, file, found):
    made = api("POST", "/cohorts/", **a_form(file, name="Panel", is_static="true"))
    assert made.status_code == 201, made.text
    assert sorted(members(api, made.json["id"])) == found


def test_a_csv_file_goes_on_the_list_of_a_static_cohort(api, people):
    cohort = api.post("/cohorts/", {"name": "Panel", "is_static": True}).json["id"]
    assert api("PATCH", f"/cohorts/{cohort}/", **a_form("ann\nbob\n")).status_code == 200
    assert sorted(members(api, cohort)) == ["ann", "bob"]


@pytest.mark.parametrize("file", ["", "a,b\n1,2\n"])
def test_a_csv_file_without_persons_is_refused(api, file):
    refused = api("POST", "/cohorts/", **a_form(file, name="Panel", is_static="true"))
    assert (refused.status_code, refused.json["attr"]) == (400, "csv")
    assert api.get("/cohorts/").json["count"] == 0


def test_a_trend_by_action_and_cohort_follows_both(api, people):
    action = api.post("/actions/", {"name": "Joins", "steps": [{"event": "signed up"}]}).json["id"]
    cohort = api.post("/cohorts/", {"name": "Paying", "filters": {"properties": PRO}}).json["id"]
    query = {"kind": "TrendsQuery", "series": [{"kind": "ActionsNode", "id": action}],
             "properties": [{"key": "id", "type": "cohort", "value": cohort}]}  # fmt: skip

    def count():
        return api.post("/query/", {"query": query, "refresh": "blocking"}).json["results"][0]["count"]

    assert count() == 1
    api.patch(
        f"/cohorts/{cohort}/",
        {"filters": {"properties": {**PRO, "values": [{**PRO["values"][0], "operator": "is_set"}]}}},
    )
    assert count() == 2
    api.patch(f"/actions/{action}/", {"steps": [{"event": "left"}]})
    assert count() == 0
    query["properties"][0]["value"] = 999
    refused = api.post("/query/", {"query": query, "refresh": "blocking"})
    assert (refused.status_code, refused.json["attr"]) == (400, "query__properties__0__value")


def test_what_names_a_deleted_action_or_cohort_by_its_number_goes_on(api, people):
    action = api.post("/actions/", {"name": "Joins", "steps": [{"event": "signed up"}]}).json["id"]
    cohort = api.post("/cohorts/", {"name": "Paying", "filters": {"properties": PRO}}).json["id"]
    kept = [{"key": "id", "type": "cohort", "value": cohort}]
    made = api.create(
        query={"kind": "TrendsQuery", "series": [{"kind": "ActionsNode", "id": action}], "properties": kept}
    )
    named = {"kind": "HogQLQuery", "query": "select count() from events where person_id in cohort 'Paying'"}

    def shown():
        result = api.get(f"/insights/{made['id']}/", params={"refresh": "force_blocking"}).json["result"]
        return [(one["count"], one["label"]) for one in result]

    before = shown()
    assert before == [(1, "Joins")]
    assert api.post("/query/", {"query": named}).status_code == 200
    for path in (f"/cohorts/{cohort}/", f"/actions/{action}/"):
        assert api.patch(path, {"deleted": True}).status_code == 200
        assert api.get(path).status_code == 404
        assert shown() == before
    assert api.post("/query/", {"query": named}).status_code == 400
    legacy = {"actions": json.dumps([{"id": action}])}
    assert api.get("/insights/trend/", params=legacy).json["result"][0]["count"] > 0
    assert api.patch(f"/cohorts/{cohort}/", {"deleted": False}).status_code == 200
    assert api.post("/query/", {"query": named}).status_code == 200


@pytest.mark.parametrize("field", ["url_matching", "text_matching", "href_matching"])
@pytest.mark.parametrize("matching", [False, 0, {}, [], "almost"])
def test_a_step_matches_in_a_known_way_or_is_refused(api, field, matching):
    answer = api.post("/actions/", {"name": "a", "steps": [{"event": "$autocapture", "text": "Buy", field: matching}]})
    assert (answer.status_code, answer.json["attr"]) == (400, f"steps__0__{field}"), answer.text
    said_nothing = api.post("/actions/", {"name": "a", "steps": [{"event": "$autocapture", field: ""}]})
    assert (said_nothing.status_code, said_nothing.json["steps"][0][field]) == (201, None)
