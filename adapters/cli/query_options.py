"""The options of `insightlog serve` about queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]


class MemorySize(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A size as DuckDB reads it."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the size as it was given."""
        if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", str(value)):
            self.fail(f"{value!r} is no size: use 512MB or 2GB", param, ctx)
        return str(value)


def query_options(command: Command) -> Command:
    """Add the options; the command receives each by its name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _option(name: str, kind: Any, default: Any, explanation: str) -> Callable[[Command], Command]:
    variable = f"INSIGHTLOG_{name.upper().replace('-', '_')}"
    return click.option(f"--{name}", type=kind, default=default, show_default=True, envvar=variable, help=explanation)


_OPTIONS = (
    _option("memory-limit", MemorySize(), "1GB", "What queries may use in all."),
    _option("query-threads", click.IntRange(1, 256), 2, "Processors that one query may use."),
    _option("query-deadline", click.FloatRange(0.1, 600), 30.0, "Seconds that a query may take; in SQL twice that."),
    _option("running-queries", click.IntRange(1, 64), 4, "Queries calculated at once."),
    _option("running-queries-per-project", click.IntRange(1, 64), 3, "Of them, of one project."),
    _option("waiting-queries", click.IntRange(0, 1000), 32, "Queries that may wait for their turn; beyond: 429."),
    _option("waiting-queries-per-project", click.IntRange(0, 1000), 16, "Of them, of one project."),
    _option(
        "follow-events", click.Choice(["all", "late", "none"]), "all",
        "Which new events make a kept result out of date before its age does: all, for callers who wait; late ones; "
        "or none.",
    ),
    click.option(
        "--incremental/--no-incremental", default=True, show_default=True, envvar="INSIGHTLOG_INCREMENTAL",
        help="Keep the buckets of trends, so that a refresh calculates only those that may have changed.",
    ),
    _option("results-mb", click.IntRange(1, 100_000), 256, "Room for calculated results on disk, in MB."),
    _option("results-days", click.FloatRange(0.001, 365), 7.0, "Days that a calculated result is kept."),
    _option(
        "warm-hours", click.FloatRange(0, 8760), 0.0,
        "Insights viewed within so many hours are refreshed while the machine is idle; 0: none are.",
    ),
)  # fmt: skip
