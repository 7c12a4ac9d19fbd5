"""The commands about users, organisations, roles and access, in process, on a folder on disk."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from insightlog.adapters.cli.main import main
from insightlog.adapters.composition import open_log


@pytest.fixture
def run(tmp_path):
    def run(*arguments, code=0):
        result = CliRunner().invoke(main, list(arguments), env={"INSIGHTLOG_DATA": str(tmp_path)})
        assert result.exit_code == code, result.output
        return result.output

    run("project", "create", "Shop")
    run("user", "create", "ines@example.com", "--level", "owner")
    run("user", "create", "omar@example.com")
    return run


def test_the_first_organisation_made_is_the_second_one(run):
    assert json.loads(run("organization", "create", "Other", "--json"))["id"] == 2
    assert [one["id"] for one in json.loads(run("organization", "list", "--json"))] == [1, 2]


def test_levels_of_members_are_given_and_taken(run):
    levels = lambda: {one["email"]: one["level"] for one in json.loads(run("organization", "members", "--json"))}  # noqa: E731
    assert levels() == {"ines@example.com": "owner", "omar@example.com": "member"}
    run("organization", "member", "omar@example.com", "admin")
    assert levels()["omar@example.com"] == "admin"
    run("organization", "member", "omar@example.com", "none")
    assert "omar@example.com" not in levels()


def test_roles_have_members_of_the_organisation_only(run):
    role = json.loads(run("role", "create", "Analysts", "--user", "omar@example.com", "--json"))
    assert role["users"] == [2]
    run("organization", "create", "Other")
    run("user", "create", "far@example.com", "--organization", "2")
    assert "no member" in run("role", "members", str(role["id"]), "--user", "far@example.com", code=1)
    assert json.loads(run("role", "list", "--json"))[0]["users"] == [2]


def test_a_project_becomes_private_and_lets_one_member_in(run, tmp_path):
    def may_enter(email):
        with open_log(tmp_path) as log:
            caller = log.authenticate(log.create_key(email).value)
            return [one.id for one in log.access.projects_of(caller)] == [1]

    assert may_enter("omar@example.com")
    run("access", "none")
    assert not may_enter("omar@example.com")
    assert may_enter("ines@example.com")
    run("access", "member", "--user", "omar@example.com")
    assert may_enter("omar@example.com")
    assert "access level" in run("access", "editor", code=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["access", "none", "--role", "99"], "Role 99 does not exist"),
        (["history", "--insight", "99"], "Insight 99 does not exist"),
        (["replay", "--to", "no/such/folder/records.jsonl"], "records.jsonl: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(run, words, said):
    assert f"Error: {said}" in run(*words, code=1).replace("no/such/folder/", "")


def test_a_key_is_bound_to_an_organisation(run):
    key = json.loads(
        run("key", "create", "--user", "omar@example.com", "--scope", "*", "--organization", "1", "--json")
    )
    assert key["scoped_organizations"] == [1]
    assert "does not exist" in run(
        "key", "create", "--user", "omar@example.com", "--scope", "*", "--organization", "9", code=1
    )
