"""Nothing of a project reaches who may not see it: every route of the document, markers in everything that is stored."""

from __future__ import annotations

import json
import re
import threading
from urllib.parse import urlencode

import pytest
from tests.builders import TREND
from tests.http.conftest import Api

from insightlog.adapters.http.access import METHODS
from insightlog.application.acting import acting

MARKER = "zebrafish"
"""Stands in every text of the project that must stay unseen."""
RUN = "run-1"
"""The id of a query that ran there."""
SYSTEM = acting(None, None)
EVENT = f"{MARKER} event"
SEEN = {
    "kind": "TrendsQuery",
    "series": [{"kind": "EventsNode", "event": EVENT}],
    "breakdownFilter": {"breakdown": "p"},
}
SQL = {"kind": "HogQLQuery", "query": "select event, properties, distinct_id, person_id from events limit 100"}
BODIES = (
    {"query": SEEN}, {"query": SQL}, {"query": {"kind": "EventsQuery", "select": ["*"]}},
    {"query": {"kind": "ActorsQuery", "select": ["person"]}}, {"query": TREND, "client_query_id": RUN},
    {"insight_ids": [1, 2], "name": "mine", "events": [{"id": EVENT}], "breakdown": "p", "client_query_id": RUN[:2]},
    {"dashboards": [1], "name": "mine"}, {"access_level": "viewer"}, {"enabled": True}, {"deleted": False}, {"deleted": True},
    {"tiles": [{"id": 1, "deleted": True}], "person_id": "1", "person_uuids": ["x"]},
)  # fmt: skip


@pytest.fixture
def secret(log, app, declarations):
    """A project of an organisation of its own, full of markers; its objects have the first ids of their kinds."""
    elsewhere = log.organizations.create(f"{MARKER} organisation", SYSTEM)
    project = log.create_project(f"{MARKER} project", token=f"phc_{MARKER}", organization=elsewhere.id)
    owner = log.create_user(
        f"{MARKER}@example.com", first_name=f"{MARKER} owner", organization=elsewhere.id, level="owner"
    )
    log.organizations.create_role(elsewhere.id, f"{MARKER} role", SYSTEM, user_ids=[owner.id])
    api = Api(app, log.create_key(owner, label=MARKER).value, project.id, declarations)
    project.capture(
        [
            {"event": EVENT, "distinct_id": f"{MARKER} {n}", "properties": {"p": MARKER, "$set": {"email": MARKER}}}
            for n in range(3)
        ]
    )
    text = {"name": f"{MARKER} insight", "description": MARKER, "tags": [MARKER], "query": SEEN}
    board = api.board(f"{MARKER} board", description=MARKER, tags=[MARKER])
    made = api.create(**text, dashboards=[board])
    gone = api.create(**text)
    api.changed(gone, deleted=True)
    assert api.patch(f"/dashboards/{board}/", {"tiles": [{"text": {"body": MARKER}}]}).status_code == 200
    sharing = f"/insights/{made['id']}/sharing/"
    api.patch(sharing, {"enabled": True, "password_required": True})
    assert api.post(f"{sharing}passwords/", {"note": MARKER, "raw_password": MARKER}).status_code == 201
    action = {"name": f"{MARKER} action", "description": MARKER, "steps": [{"event": EVENT}]}
    assert api.post("/actions/", action).status_code == 201
    cohort = {"name": f"{MARKER} cohort", "description": MARKER, "is_static": True}
    made_cohort = api.post("/cohorts/", cohort)
    assert made_cohort.status_code == 201
    while api.get(f"/cohorts/{made_cohort.json['id']}/").json["is_calculating"]:
        threading.Event().wait(0.005)  # counted in the background, which writes a record
    assert MARKER in api.post("/query/", {"query": SEEN, "client_query_id": RUN}).text
    assert api.post("/query/", {"query": SEEN, "refresh": "force_async", "client_query_id": RUN}).status_code in {
        200,
        202,
    }
    api.insight, api.elsewhere = made, elsewhere
    return api


def addresses(path, secret):
    """Fill the places of a path with what exists in the secret project, asked through the first one and directly."""
    organization = secret.elsewhere.uuid
    for project in ("1", "@current", secret.prefix.rpartition("/")[2]):
        for ref in (str(secret.insight["id"]), secret.insight["short_id"], "2", "1"):
            values = {
                "project_id": project, "ref": ref, "password_id": "1", "organization": organization, "query_id": RUN,
                "token": "phc_one",
            }  # fmt: skip
            yield re.sub(r"{(\w+)}", lambda place, known=values: known.get(place[1], "1"), path)
            if not {"ref", "organization"} & set(re.findall(r"{(\w+)}", path)):
                break


def requests(declarations, secret):
    for path, route in declarations.by_path.items():
        if path.startswith("/api/environments/"):
            continue  # the same resources behind the same gate
        for method in METHODS:
            if hasattr(route.resource, f"on_{method.lower()}"):
                for address in dict.fromkeys(addresses(path, secret)):
                    yield method, address


PARAMETERS = (
    {}, {"search": MARKER, "basic": "true"}, {"refresh": "blocking", "from_dashboard": "1", "tags": f'["{MARKER}"]'},
    {"events": json.dumps([{"id": EVENT}]), "breakdown": "p", "show_progress": "true", "limit": "1000"},
)  # fmt: skip


def without(asked, text):
    """Leave out the parameters of the request where they are told back, as in addresses of further pages."""
    for pair in (urlencode({name: value}) for name, value in asked.items()):
        text = text.replace(pair, "")
    return text


def leaks(caller, log, declarations, secret):
    """Return the answers that name a marker, and what requests wrote into the secret project."""
    project_id = int(secret.prefix.rpartition("/")[2])
    headers = {"Authorization": f"Bearer {caller.key}"} if caller.key else {}
    found, n_good = [], 0
    for method, address in requests(declarations, secret):
        is_read = method in {"GET", "DELETE"}
        for asked in PARAMETERS if is_read else BODIES:
            position = log.position()
            given = {"params": {**caller.params, **asked}} if is_read else {"json": asked, "params": caller.params}
            answer = caller.client.simulate_request(method, address, headers=headers, **given)
            assert answer.status_code < 500, (method, address, answer.text)
            n_good += answer.status_code < 300
            if MARKER in without(asked, answer.text.replace(EVENT, "")):
                found.append((method, address, asked, answer.text[:300]))
            written = [one.event for one in log.replay(after=position) if one.project_id == project_id]
            found += [(method, address, one) for one in written]
    assert n_good > 30
    return found


@pytest.fixture
def own(api):
    return api.create(name="own", query=TREND, dashboards=[api.board("own")])


def test_a_stranger_sees_and_changes_nothing(log, api, declarations, secret, own):
    assert leaks(api, log, declarations, secret) == []


def test_a_key_of_one_project_opens_no_other_of_its_user(log, api, with_scopes, declarations, secret, own):
    log.organizations.set_member(secret.elsewhere.id, 1, "owner", SYSTEM)
    assert MARKER in api.get("/api/projects/").text
    assert leaks(with_scopes("*", projects=[1]), log, declarations, secret) == []


def test_a_key_of_one_organisation_opens_no_other_of_its_user(log, app, declarations, secret, own):
    log.organizations.set_member(secret.elsewhere.id, 1, "owner", SYSTEM)
    key = log.create_key(1, organizations=[1]).value
    assert leaks(Api(app, key, declarations=declarations), log, declarations, secret) == []


def test_a_visitor_of_a_share_sees_one_insight(log, api, app, declarations, secret, own):
    token = api.patch(f"/insights/{own['id']}/sharing/", {"enabled": True}).json["access_token"]
    visitor = Api(app, None, declarations=declarations)
    visitor.params = {"sharing_access_token": token}
    assert leaks(visitor, log, declarations, secret) == []
