"""The options of `serve` about queries: explained, set by the environment, and handed on."""

from __future__ import annotations

from datetime import timedelta

import attrs
import click
import pytest
from click.testing import CliRunner

from insightlog.adapters.cli.query_options import query_options
from insightlog.adapters.cli.serving import serve
from insightlog.adapters.http.query_options import QueryOptions

NAMES = [field.name for field in attrs.fields(QueryOptions)]


def given(*arguments, env=None):
    found = {}
    command = click.command()(query_options(lambda **options: found.update(options)))
    done = CliRunner().invoke(command, arguments, env=env)
    assert done.exit_code == 0, done.output
    return QueryOptions(**found)


def test_defaults_of_the_command_are_those_of_the_library():
    assert given() == QueryOptions()


@pytest.mark.parametrize("name", NAMES)
def test_every_option_can_be_set_by_the_environment(name):
    option = next(one for one in serve.params if one.name == name)
    assert option.envvar == f"INSIGHTLOG_{name.upper()}"


def test_options_reach_the_settings():
    options = given(
        *("--query-threads", "3", "--query-deadline", "12.5", "--running-queries", "7", "--memory-limit", "512MB"),
        *("--running-queries-per-project", "5", "--waiting-queries", "9", "--waiting-queries-per-project", "8"),
        *("--follow-events", "late", "--no-incremental", "--results-mb", "99", "--results-days", "2"),
        env={"INSIGHTLOG_WARM_HOURS": "36"},
    )
    settings = options.settings("NORMAL")
    computing, limits = settings.computing, settings.computing.limits
    assert (settings.synchronous, settings.threads, settings.memory_limit) == ("NORMAL", 3, "512MB")
    assert (settings.results_mb, computing.kept_for) == (99, timedelta(days=2))
    assert (computing.deadline_s, computing.follows, computing.is_incremental) == (12.5, "late", False)
    assert (limits.running, limits.running_per_project, limits.waiting, limits.waiting_per_project) == (7, 5, 9, 8)
    assert (limits.wait_s, computing.warms_seen_within) == (12.5, timedelta(hours=36))
    assert QueryOptions().settings("FULL").computing.warms_seen_within is None


@pytest.mark.parametrize("size", ["lots", "1", "-1GB", "1GB; SET x"])
def test_a_memory_limit_that_is_no_size_is_refused(size):
    done = CliRunner().invoke(serve, ["--memory-limit", size])
    assert done.exit_code == 2
    assert "is no size" in done.output
