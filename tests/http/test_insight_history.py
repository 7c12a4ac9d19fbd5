"""Versions of an insight, reverting, If-Match, and undoing what somebody did (history.md 3 and 4)."""

from __future__ import annotations

import random

import pytest
from tests.builders import TREND
from tests.http.conftest import error, ok
from tests.http.test_past import step

from insightlog.adapters.storage.sqlite.event_store import SQLiteEventStore


def version_of(answer):
    return int(answer.headers["ETag"].strip('"'))


def definition(shown):
    names = ("name", "derived_name", "description", "query", "order", "tags", "favorited", "saved", "deleted")
    return {name: shown[name] for name in (*names, "dashboards")}


def reverted(api, insight, **body):
    return ok(api.post(f"/insights/{insight['id']}/revert/", body))


def undone(api, **body):
    return ok(api.post("/insights/undo/", body))


def test_one_patch_is_one_request_of_several_versions(api, clock):
    made = api.create(name="a")
    clock.forward(minutes=1)
    api.patch(f"/insights/{made['id']}/", {"name": "b", "tags": ["x"]}, headers={"X-Request-ID": "r-17"})
    page = api.get(f"/insights/{made['id']}/history/", params={"limit": 2}).json
    assert page["count"] == 3
    assert page["next"].endswith("limit=2&offset=2")
    assert [(one["version"], one["type"], one["request"]) for one in page["results"]] == [
        (3, "InsightTagsChanged", "r-17"),
        (2, "InsightRenamed", "r-17"),
    ]
    assert page["results"][1]["changes"] == [{"field": "name", "before": "a", "after": "b"}]
    assert page["results"][0]["by"] == {"user": 1, "key": 1}
    assert page["results"][0]["at"] == clock.now.isoformat().replace("+00:00", "Z")


def test_the_history_of_a_deleted_insight_can_be_read(api):
    made = api.create(name="a")
    api.changed(made, deleted=True)
    page = api.get(f"/insights/{made['short_id']}/history/").json
    assert page["results"][0]["changes"] == [{"field": "deleted", "before": False, "after": True}]
    error(api.get("/insights/99/history/"), 404, "invalid_request", "not_found")


def test_a_key_without_its_scope_reads_no_history(with_scopes, api):
    made = api.create(name="a")
    answer = with_scopes("insight:read").get(f"/insights/{made['id']}/history/")
    detail = "API key missing required scope 'activity_log:read'"
    error(answer, 403, "authentication_error", "permission_denied", detail)
    answer = with_scopes("insight:read").post(f"/insights/{made['id']}/revert/", {"to_version": 1})
    error(answer, 403, "authentication_error", "permission_denied", "API key missing required scope 'insight:write'")


def test_every_version_is_shown_as_it_was_answered(api):
    board = api.board()
    answer = api.post("/insights/", {"name": "a", "query": TREND})
    shown = {version_of(answer): answer.json}
    path = f"/insights/{answer.json['id']}/"
    for fields in ({"name": "b", "tags": ["x"]}, {"dashboards": [board]}, {"favorited": True}, {"deleted": True}):
        answer = api.patch(path, fields)
        shown[version_of(answer)] = answer.json
    for version, then in shown.items():
        now = api.get(f"{path}history/{version}/").json
        same = (*definition(then), "updated_at", "last_modified_at", "dashboard_tiles", "filters_hash")
        assert {name: now[name] for name in same} == {name: then[name] for name in same}
    for version in ("0", "99", "x"):
        error(api.get(f"{path}history/{version}/"), 404, "invalid_request", "not_found")


def test_versions_are_compared(api):
    made = api.create(name="a", tags=["x"])
    api.changed(made, name="b")
    api.changed(made, name="c", tags=[], favorited=True)
    path = f"/insights/{made['id']}/compare/"
    changes = api.get(path, params={"from": 1}).json["changes"]
    assert changes == [
        {"field": "name", "before": "a", "after": "c"},
        {"field": "tags", "before": ["x"], "after": []},
        {"field": "favorited", "before": False, "after": True},
    ]
    assert api.get(path, params={"from": 2, "to": 1}).json["changes"] == [
        {"field": "name", "before": "b", "after": "a"}
    ]
    error(api.get(path), 400, "validation_error", "required", attr="from")
    error(api.get(path, params={"from": "x"}), 400, "validation_error", "invalid_input", attr="from")
    error(api.get(path, params={"from": "1", "to": "0"}), 400, "validation_error", "min_value", attr="to")
    error(api.get(path, params={"from": "99"}), 404, "invalid_request", "not_found")


def test_a_revert_is_one_entry_that_tells_its_version(api):
    made = api.create(name="a", description="x")
    api.changed(made, name="b", tags=["t"], description="")
    n_before = len(api.entries(made))
    shown = reverted(api, made, to_version=1)
    assert (shown["name"], shown["tags"], shown["description"]) == ("a", [], "x")
    entry, *others = api.entries(made)
    assert len(others) == n_before
    assert entry["activity"] == "updated"
    assert entry["detail"]["trigger"] == {"job_type": "revert", "payload": {"to_version": 1}}
    assert {one["field"] for one in entry["detail"]["changes"]} == {"name", "tags", "description"}
    assert [one["detail"]["trigger"] for one in others] == [None] * n_before


def test_a_revert_of_what_does_not_differ_writes_nothing(api, log):
    made = api.create(name="a")
    before = log.position()
    answer = api.post(f"/insights/{made['id']}/revert/", {"to_version": 1})
    assert (answer.status_code, version_of(answer), log.position()) == (200, 1, before)


def test_a_revert_can_be_reverted_and_brings_deleted_insights_and_their_dashboards_back(api, clock):
    board = api.board()
    made = api.create(name="a", dashboards=[board])
    moment = clock.now.isoformat()
    clock.forward(minutes=1)
    api.changed(made, deleted=True)
    shown = reverted(api, made, as_of=moment)
    assert (shown["deleted"], shown["dashboards"]) == (False, [board])
    assert api.entries(made)[0]["activity"] == "restored"
    reverted(api, made, to_version=3)
    error(api.get(f"/insights/{made['id']}/"), 404, "invalid_request", "not_found")
    assert api.entries()[0]["activity"] == "deleted"


WRONG_REVERTS = (
    ({}, "to_version"),
    ({"to_version": 1, "as_of": "position:1"}, "to_version"),
    ({"to_version": "x"}, "to_version"),
    ({"to_version": 0}, "to_version"),
    ({"to_version": 9}, "to_version"),
    ({"as_of": 5}, "as_of"),
    ({"as_of": "soon"}, "as_of"),
    ({"as_of": "2999-01-01T00:00:00Z"}, "as_of"),
)


def test_reverts_to_nowhere_are_refused(api, log):
    made = api.create(name="a")
    before = log.position()
    for body, attr in WRONG_REVERTS:
        answer = api.post(f"/insights/{made['id']}/revert/", body)
        assert (answer.status_code, answer.json["attr"]) == (400, attr), body
    error(api.post(f"/insights/{made['id']}/revert/", {"as_of": "position:1"}), 404, "invalid_request", "not_found")
    error(api.post("/insights/99/revert/", {"to_version": 1}), 404, "invalid_request", "not_found")
    assert log.position() == before


@pytest.mark.parametrize("seed", range(2))
def test_any_insight_goes_back_to_any_version(api, clock, seed):
    chance = random.Random(seed)
    api.board()
    made = api.create(name="a", query=TREND)
    versions = {}
    for _ in range(25):
        clock.forward(minutes=1)
        step(api, chance)
        answer = api.get("/insights/1/")
        if answer.status_code == 200:
            versions[version_of(answer)] = definition(answer.json)
    api.patch("/dashboards/1/", {"deleted": False})
    boards = {version: set(api.get(f"/insights/1/history/{version}/").json["dashboards"]) for version in versions}
    for version in chance.sample(sorted(versions), min(6, len(versions))):
        shown = definition(reverted(api, made, to_version=version))
        assert shown | {"dashboards": 0} == versions[version] | {"dashboards": 0}
        assert set(shown["dashboards"]) == boards[version]


def test_if_match_refuses_a_change_of_what_has_moved_on(api):
    answer = api.post("/insights/", {"name": "a"})
    path, first = f"/insights/{answer.json['id']}/", answer.headers["ETag"]
    assert api.get(path).headers["ETag"] == first == '"1"'
    answer = api.patch(path, {"name": "b"}, headers={"If-Match": first})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    for stale in (first, 'W/"1"', '"x"', "", '"7", "1"'):
        answer = api.patch(path, {"name": "c"}, headers={"If-Match": stale})
        error(answer, 412, "invalid_request", "precondition_failed")
        answer = api.post(f"{path}revert/", {"to_version": 1}, headers={"If-Match": stale})
        error(answer, 412, "invalid_request", "precondition_failed")
    assert api.get(path).json["name"] == "b"
    for good in ("*", '"3"', '"1", "4"'):
        assert api.patch(path, {"name": good}, headers={"If-Match": good}).status_code == 200


def test_what_a_user_did_is_undone_but_what_others_changed_since(api, omar, clock):
    first, second = api.create(name="a", description="x"), api.create(name="b", tags=["t"])
    omar.changed(first, name="spoilt", description="")
    omar.changed(second, deleted=True)
    theirs = omar.create(name="made by mistake")
    clock.forward(minutes=1)
    api.changed(first, name="mended")
    report = undone(api, by_user=2)
    assert report == {
        "undone": [
            {"insight": theirs["id"], "fields": ["deleted"]},
            {"insight": second["id"], "fields": ["deleted"]},
            {"insight": first["id"], "fields": ["description"]},
        ],
        "conflicts": [
            {
                "insight": first["id"], "field": "name", "by": {"user": 1, "key": 1},
                "at": clock.now.isoformat().replace("+00:00", "Z"),
            }
        ],
        "request": None,
    }  # fmt: skip
    assert api.get(f"/insights/{first['id']}/").json["description"] == ""
    done = undone(api, by_user=2, dry_run=False)
    assert (done["undone"], done["conflicts"]) == (report["undone"], report["conflicts"])
    shown = api.get(f"/insights/{first['id']}/").json
    assert (shown["name"], shown["description"]) == ("mended", "x")
    assert set(api.listed()) == {first["id"], second["id"]}
    again = undone(api, request=done["request"], dry_run=False)
    assert {one["insight"] for one in again["undone"]} == {first["id"], second["id"], theirs["id"]}
    assert set(api.listed()) == {first["id"], theirs["id"]}
    assert api.get(f"/insights/{first['id']}/").json["description"] == ""


def test_what_others_change_while_it_is_undone_is_left_alone(api, log, omar, monkeypatch):
    made = api.create(name="a", description="x")
    omar.changed(made, name="spoilt", description="")
    carry_out = SQLiteEventStore.carry_out

    def overtaken(store, decide):
        monkeypatch.setattr(SQLiteEventStore, "carry_out", carry_out)
        log.project(1).insights.update(made["id"], name="mended", by=1)
        return carry_out(store, decide)

    monkeypatch.setattr(SQLiteEventStore, "carry_out", overtaken)
    done = undone(api, by_user=2, dry_run=False)
    assert done["undone"] == [{"insight": made["id"], "fields": ["description"]}]
    assert [one["field"] for one in done["conflicts"]] == ["name"]
    shown = api.get(f"/insights/{made['id']}/").json
    assert (shown["name"], shown["description"]) == ("mended", "x")


def test_undoing_goes_by_time_key_and_insights(api, log, clock):
    one, other = api.create(name="a"), api.create(name="b")
    clock.forward(hours=1)
    start = clock.now.isoformat()
    api.changed(one, name="a2")
    api.changed(other, name="b2")
    clock.forward(hours=1)
    end = clock.now.isoformat()
    clock.forward(hours=1)
    api.changed(other, favorited=True)
    window = {"from": start, "to": end}
    assert [each["insight"] for each in undone(api, **window)["undone"]] == [other["id"], one["id"]]
    assert undone(api, **window, insights=[one["id"]])["undone"] == [{"insight": one["id"], "fields": ["name"]}]
    assert undone(api, **window, by_key=7) == {"undone": [], "conflicts": [], "request": None}
    since = {"from": f"position:{log.position()}"}
    assert undone(api, **since)["undone"] == [{"insight": other["id"], "fields": ["favorited"]}]


WRONG_UNDOS = (
    ({}, None),
    ({"dry_run": False}, None),
    ({"by_user": "x"}, "by_user"),
    ({"by_key": 0}, "by_key"),
    ({"request": 5}, "request"),
    ({"from": "soon"}, "from"),
    ({"to": "2026-01-01"}, "to"),
    ({"insights": 5}, "insights"),
    ({"insights": ["x"]}, "insights"),
    ({"by_user": 1, "dry_run": "perhaps"}, "dry_run"),
)


def test_undoing_of_nothing_in_particular_is_refused(api, log):
    api.create(name="a")
    before = log.position()
    for body, attr in WRONG_UNDOS:
        answer = api.post("/insights/undo/", body)
        assert (answer.status_code, answer.json["attr"]) == (400, attr), body
    assert log.position() == before


def test_nothing_is_undone_that_the_caller_may_not_edit_or_see(api, somebody, other):
    shown, hidden, foreign = api.create(name="shown"), api.create(name="hidden"), other.create(name="foreign")
    for one, level in ((shown, "viewer"), (hidden, "none")):
        api.changed(one, name="x")
        api.put(f"/insights/{one['id']}/access_controls/", {"access_level": level})
    reader = somebody()
    report = undone(reader, by_user=1, dry_run=False)
    assert report["undone"] == []
    assert report["conflicts"] == [{"insight": shown["id"], "field": None, "by": None, "at": None}]
    assert undone(reader, insights=[foreign["id"]])["conflicts"] == []
