"""A folder written by the first version, kept as SQL text, opens in this one: events are brought up, views made anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import insightlog
from insightlog.adapters.verification import verify_folder
from insightlog.domain.project import ProjectCreated

FIRST = Path(__file__).parent / "first_version"


@pytest.fixture
def folder(tmp_path):
    for dump in FIRST.glob("*.sql"):
        with closing(sqlite3.connect(tmp_path / f"{dump.stem}.sqlite")) as connection:
            connection.executescript(dump.read_text("utf-8"))
    return tmp_path


def test_insights_views_shares_and_keys_of_the_first_version_are_there(folder):
    with insightlog.open(folder) as log:
        project = log.project(1)
        (one,) = project.insights.list(search="weekly").results
        assert (one.name, one.tags, one.deleted) == ("Weekly signups", ("growth",), False)
        assert [entry.activity for entry in project.activity(one.id).results] == [
            "sharing enabled",
            "updated",
            "created",
        ]
        assert [viewed.id for viewed in project.insights.last_viewed(by=1).results] == [one.id]
        assert project.insights.sharing(one.id)[1] == "ukRT17DO_08Ixj5FPJ5rV-DuGP6-jQ"
        assert log.authenticate("phx_" + "o" * 40).user.email == "ines@example.com"
        assert project.query(one.query)["results"] != []
        assert project.insights.update(2, deleted=False).name == "Gone"


def test_old_events_get_the_fields_that_came_later(folder):
    with insightlog.open(folder) as log:
        created = next(record.event for record in log.replay() if isinstance(record.event, ProjectCreated))
        assert created.organization_id == 1
        assert len(created.uuid) == 36
        assert [(one.user.email, one.level) for one in log.organizations.members(1)] == [("ines@example.com", "owner")]
        assert log.project(1).info.uuid == created.uuid


def test_the_folder_is_whole_after_it_was_opened(folder):
    with insightlog.open(folder) as log:
        log.project(1).insights.create(name="new")
    assert verify_folder(folder, lambda *_: None).problems == []
