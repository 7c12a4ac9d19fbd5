"""A served log in process: one project, two users, keys with all and with few scopes."""

from __future__ import annotations

import functools
import shutil

import falcon
import falcon.routing.compiled
import pytest
from falcon import testing
from tests.builders import FrozenClock
from tests.http.declarations import Declarations

import insightlog

falcon.routing.compiled.compile = functools.cache(compile)
"""PERF: all apps have the same routes, and to compile the search in them takes 7 ms for each app."""


class Api:
    """Requests to one project with the key of a user."""

    def __init__(self, app, key, project=1, declarations=None):
        self.declarations = declarations
        self.client = testing.TestClient(app)
        self.key = key
        self.params = {}
        self.prefix = f"/api/projects/{project}"

    def __call__(self, method, path, json=None, **options):
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers |= options.pop("headers", {})
        url = path if path.startswith("/api/") else self.prefix + path
        answer = self.client.simulate_request(method, url, json=json, headers=headers, **options)
        if self.declarations is not None:
            self.declarations.check(method, answer)
        return answer

    def get(self, path, **options):
        return self("GET", path, **options)

    def post(self, path, json=None, **options):
        return self("POST", path, json, **options)

    def patch(self, path, json=None, **options):
        return self("PATCH", path, json, **options)

    def put(self, path, json=None, **options):
        return self("PUT", path, json, **options)

    def delete(self, path, **options):
        return self("DELETE", path, **options)

    def create(self, **fields):
        answer = self.post("/insights/", fields)
        assert answer.status_code == 201, answer.text
        return answer.json

    def board(self, name="board", **fields):
        """Make a dashboard and return its id."""
        answer = self.post("/dashboards/", {"name": name, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json["id"]

    def listed(self, **params):
        """Return the ids of a list."""
        answer = self.get("/insights/", params=params)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json["results"]]

    def changed(self, insight, **fields):
        """Change an insight and return it."""
        answer = self.patch(f"/insights/{insight['id']}/", fields)
        assert answer.status_code == 200, answer.text
        return answer.json

    def entries(self, insight=None, **params):
        """Return a page of the activity log, newest first."""
        answer = self.get(f"/insights/{insight['id']}/activity/" if insight else "/insights/activity/", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json["results"]


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A folder with two projects and two users, of which each test gets a copy."""
    folder = tmp_path_factory.mktemp("made")
    with insightlog.open(folder, clock=FrozenClock()) as opened:
        opened.create_project("One", token="phc_one")
        opened.create_project("Two", token="phc_two", timezone="Europe/Berlin")
        opened.create_user("ines@example.com", first_name="Ines")
        opened.create_user("omar@example.com", first_name="Omar")
    return folder


@pytest.fixture
def log(tmp_path, clock, template):
    with insightlog.open(shutil.copytree(template, tmp_path / "data"), clock=clock) as opened:
        yield opened


@pytest.fixture
def declarations(log):
    return Declarations(log)


@pytest.fixture
def app(log, declarations, monkeypatch):
    """The app, with every request held against the declarations."""
    with monkeypatch.context() as patched:
        patched.setattr(falcon, "App", functools.partial(falcon.App, request_type=declarations.request_type()))
        return insightlog.adapters.http.create_app(log)


@pytest.fixture
def api(log, app, declarations):
    """Project 1 with Ines' key for everything."""
    return Api(app, log.create_key(1).value, declarations=declarations)


@pytest.fixture
def omar(log, app, declarations):
    """Project 1 with Omar's key for everything."""
    return Api(app, log.create_key(2).value, declarations=declarations)


@pytest.fixture
def with_scopes(log, app, declarations):
    """Makes an Api whose key has just the given scopes, and works in just the given projects."""

    def make(*scopes, projects=(), project=1):
        return Api(app, log.create_key(1, scopes, projects=projects).value, project, declarations)

    return make


@pytest.fixture
def other(app, api, declarations):
    """Project 2 with Ines' key for everything."""
    return Api(app, api.key, 2, declarations)


@pytest.fixture
def nobody(app, declarations):
    """Project 1 without a key."""
    return Api(app, None, declarations=declarations)


@pytest.fixture
def ask(app):
    """Asks without any credentials."""
    client = testing.TestClient(app)
    return lambda path, method="GET", **options: client.simulate_request(method, path, **options)


@pytest.fixture
def somebody(log, app, declarations):
    """Makes an Api of a new user, at a level of the default organisation unless told otherwise."""
    names = iter(f"user{n}@example.com" for n in range(100))

    def make(level="member", project=1, **options):
        user = log.create_user(next(names), level=level, **options)
        made = Api(app, log.create_key(user).value, project, declarations)
        made.user = user
        return made

    return make


def ok(answer):
    """Assert that an answer is one, and return what is in it."""
    assert answer.status_code == 200, answer.text
    return answer.json


def error(answer, status, kind, code, detail=None, attr=None):
    """Assert that an answer is an error of the contract."""
    assert answer.status_code == status, answer.text
    body = answer.json
    assert set(body) == {"type", "code", "detail", "attr"}
    assert (body["type"], body["code"], body["attr"]) == (kind, code, attr)
    if detail is not None:
        assert body["detail"] == detail
