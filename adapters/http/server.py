"""The gunicorn server: one worker with threads; the log is opened after the fork, never before."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from attrs import Factory, evolve, field, frozen
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from ...domain.errors import AuthenticationFailed, InsightlogError, InvalidInput, StoreUnavailable
from .query_options import QueryOptions
from .worker import PromptWorker

if TYPE_CHECKING:
    from ...application.library import Insightlog
    from .body import WSGIApp


SWITCH_INTERVAL_S = 0.0005
"""PERF: beside one busy thread, capture in batches of 100 takes 24,000 events/s; 4,000 at Python's default."""


MAX_CONNECTIONS = 10_000
PATIENCE_S = 2.0
"""How long the end of another server is waited for that has the address or the folder."""


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
    trusted_proxies: int = 0
    strict_scopes: bool = False
    legacy_filters_echo: bool = False
    archive_after_days: int | None = None
    queries: QueryOptions = Factory(QueryOptions)


OWNER = "owner@localhost"


def bootstrap(log: Insightlog, options: ServerOptions, say: Callable[[str], None]) -> None:
    """Give a new folder its owner, first key and project, in this order; print once what was generated.

    A start that was cut short is carried on by the next: the project is made last, so a folder with one is left alone.
    """
    if log.projects():
        return
    known = [one for one in log.users() if one.email == OWNER]
    owner = known[0] if known else log.create_user(OWNER, first_name="Owner", level="owner")
    say(f"New folder {options.data}: made project 1 and its owner {owner.email}.")
    value = options.bootstrap_api_key
    if value is None or not _is_key(log, value):
        value = log.create_key(owner, ["*"], label="first key", value=value, by=owner).value
    if options.bootstrap_api_key is None:
        say(f"  personal API key (shown only this once): {value}")
    project = log.create_project("Default project", token=options.bootstrap_project_token, by=owner)
    if options.bootstrap_project_token is None:
        say(f"  capture token (for SDKs):                {project.token}")


def _is_key(log: Insightlog, value: str) -> bool:
    try:
        log.authenticate(value)
    except AuthenticationFailed:
        return False
    return True


def _patiently(attempt: Callable[[], object], wait_for: int) -> None:
    """Do something, and again while it fails with an error that passes once a server has ended. Raises `OSError`."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            attempt()
        except OSError as error:
            if error.errno != wait_for or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def require_address(host: str, port: int) -> None:
    """Raise `InvalidInput` for an address where nothing can listen; one in use is waited for a few seconds."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        _patiently(lambda: socket.create_server((host, port), family=family).close(), errno.EADDRINUSE)
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        hint = " Choose another --port." if error.errno == errno.EADDRINUSE else ""
        raise InvalidInput(f"Nothing can listen at {host}, port {port}: {reason}.{hint}") from error


def connections() -> int:
    """Return how many clients may be connected at once, busy or idle; asks for as many open files as that takes.

    Beyond, new ones wait until idle ones are closed, 30 seconds after they last said something.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * MAX_CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return min(MAX_CONNECTIONS, wanted // 2)


def hold(folder: Path) -> None:
    """Make this process, with those that it forks, the one that serves a folder, as long as it lives.

    The folder itself is locked, so that there is no file to be left behind. Raises `StoreUnavailable` when another
    process serves it, after a few seconds in which that may have ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _patiently(lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB), errno.EWOULDBLOCK)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            raise StoreUnavailable(f"Another server serves {folder} already.") from error
        # a file system that knows no locks: DuckDB's own lock has to do


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with our settings in place of its command line."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        host = f"[{options.host}]" if ":" in options.host else options.host
        self._address = f"{host}:{options.port}"
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings: dict[str, Any] = {
            "bind": self._address,
            "workers": 1,
            "worker_class": PromptWorker,
            "threads": self._options.threads,
            "worker_connections": max(connections(), 2 * self._options.threads),
            "timeout": 120,
            "graceful_timeout": 20,
            "keepalive": 30,
            "proc_name": "insightlog",
            "loglevel": "warning",
            "limit_request_line": 8190,
            "worker_exit": _close,
            "post_worker_init": lambda _: click.echo(
                f"insightlog serves {self._options.data} at http://{self._address}"
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
        app = create_app(
            log,
            HttpOptions(
                site_url=options.site_url,
                are_csv_formulas_escaped=options.are_csv_formulas_escaped,
                rate_limits=options.rate_limits,
                trusted_proxies=options.trusted_proxies,
                strict_scopes=options.strict_scopes,
                legacy_filters_echo=options.legacy_filters_echo,
            ),
        )
        gc.freeze()  # PERF: what is loaded stays; to look through it took 70 ms each time
        return app


_opened: list[Insightlog] = []


def _close(_arbiter: object, _worker: object) -> None:
    while _opened:
        _opened.pop().close()


def serve(options: ServerOptions) -> None:
    """Run the server until SIGTERM or SIGINT.

    Raises `InvalidInput` for an address where nothing can listen, `StoreUnavailable` for a folder that is served.
    """
    if "LISTEN_FDS" not in os.environ:  # else systemd listens, and gunicorn takes its sockets over
        require_address(options.host, options.port)
    hold(options.data)
    Server(options).run()
