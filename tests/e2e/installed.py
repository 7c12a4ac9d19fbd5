"""Clients of others, installed once beside the virtual environment, each into a folder of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[2] / ".venv"
MUST_RUN = os.environ.get("INSIGHTLOG_ALL_CLIENTS") == "1"
"""Set where nothing may be skipped for want of a client; the large ones run only then."""
INSTALL_S = 600


def needed(what, why):
    """Skip, or fail where all clients must be there."""
    if not what:
        (pytest.fail if MUST_RUN else pytest.skip)(why)


def npm_packages(name, package_json):
    """Return the folder whose `node_modules` holds the packages of a package.json."""
    needed(shutil.which("npm") and shutil.which("node"), "node and npm are not installed")
    with _once(BESIDE / name, package_json) as (folder, is_new):
        if is_new:
            (folder / "package.json").write_text(package_json)
            _run(
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--legacy-peer-deps",
                "--silent",
                at=folder,
            )
    return folder


def python_client(requirement):
    """Return the folder of the commands that a requirement installs, in a virtual environment of its own."""
    with _once(BESIDE / "clients" / requirement.partition("=")[0], requirement) as (folder, is_new):
        if is_new:
            _run(sys.executable, "-m", "venv", "--clear", "--without-pip", "venv", at=folder)
            pip = (sys.executable, "-m", "pip", "--python", "venv/bin/python", "--disable-pip-version-check")
            _run(*pip, "install", "--quiet", "--no-compile", requirement, at=folder)
    return folder / "venv" / "bin"


@contextmanager
def _once(folder, wanted):
    """Give a folder and whether it is to be filled, one process at a time; what is filled stays."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "installed"
        is_new = not done.exists() or done.read_text() != wanted
        yield folder, is_new
        done.write_text(wanted)


def _run(*command, at):
    made = subprocess.run(command, cwd=at, capture_output=True, text=True, timeout=INSTALL_S)
    needed(made.returncode == 0, f"{' '.join(command)} failed, so the client cannot be tried: {made.stderr[-500:]}")
