"""The gunicorn server: one worker with threads; the log is opened after the fork, never before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from attrs import Factory, evolve, field, frozen
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from ...domain.errors import InsightlogError
from .query_options import QueryOptions
from .worker import PromptWorker

if TYPE_CHECKING:
    from ...application.library import Insightlog
    from .app import WSGIApp


SWITCH_INTERVAL_S = 0.0005
"""PERF: beside one busy thread, capture in batches of 100 takes 24,000 events/s; 4,000 at Python's default."""


@frozen(kw_only=True)
class ServerOptions:
    """How the server runs."""

    data: Path
    host: str
    port: int
    threads: int = 64
    bootstrap_api_key: str | None = field(default=None, repr=False)
    bootstrap_project_token: str | None = field(default=None, repr=False)
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    site_url: str | None = None
    are_csv_formulas_escaped: bool = True
    rate_limits: bool = False
    strict_scopes: bool = False
    legacy_filters_echo: bool = False
    archive_after_days: int | None = None
    queries: QueryOptions = Factory(QueryOptions)


def bootstrap(log: Insightlog, options: ServerOptions, say: Callable[[str], None]) -> None:
    """Give a new folder its first project, owner and key; print once what was generated."""
    if log.projects():
        return
    owner = log.create_user("owner@localhost", first_name="Owner", level="owner")
    project = log.create_project("Default project", token=options.bootstrap_project_token, by=owner)
    key = log.create_key(owner, ["*"], label="first key", value=options.bootstrap_api_key, by=owner)
    say(f"New folder {options.data}: made project {project.id} and its owner {owner.email}.")
    if options.bootstrap_project_token is None:
        say(f"  capture token (for SDKs):              {project.token}")
    if options.bootstrap_api_key is None:
        say(f"  personal API key (shown only this once): {key.value}")


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with our settings in place of its command line."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings: dict[str, Any] = {
            "bind": f"{self._options.host}:{self._options.port}",
            "workers": 1,
            "worker_class": PromptWorker,
            "threads": self._options.threads,
            "timeout": 120,
            "graceful_timeout": 20,
            "keepalive": 30,
            "proc_name": "insightlog",
            "loglevel": "warning",
            "limit_request_line": 8190,
            "worker_exit": _close,
            "when_ready": lambda _: click.echo(
                f"insightlog serves {self._options.data} at http://{self._options.host}:{self._options.port}"
            ),
        }
        if "control_socket_disable" in self.cfg.settings:  # since 25.1: a socket in the home folder that stops servers
            settings["control_socket_disable"] = True
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApp:
        """Open the log and make the app; gunicorn calls this in the worker."""
        from ..composition import open_log  # noqa: PLC0415 PERF: the arbiter needs none of it, 25 MB less
        from .app import HttpOptions, create_app  # noqa: PLC0415

        sys.setswitchinterval(SWITCH_INTERVAL_S)
        options = self._options
        try:
            settings = evolve(
                options.queries.settings(options.synchronous),
                opens_early=True,
                archive_after_days=options.archive_after_days,
            )
            log = open_log(options.data, settings=settings)
            bootstrap(log, options, click.echo)
        except InsightlogError as error:
            click.echo(f"Error: {error}", err=True)
            raise SystemExit(Arbiter.APP_LOAD_ERROR) from error
        _opened.append(log)
        return create_app(
            log,
            HttpOptions(
                site_url=options.site_url,
                are_csv_formulas_escaped=options.are_csv_formulas_escaped,
                rate_limits=options.rate_limits,
                strict_scopes=options.strict_scopes,
                legacy_filters_echo=options.legacy_filters_echo,
            ),
        )


_opened: list[Insightlog] = []


def _close(_arbiter: object, _worker: object) -> None:
    while _opened:
        _opened.pop().close()


def serve(options: ServerOptions) -> None:
    """Run the server until SIGTERM or SIGINT."""
    Server(options).run()
