"""What holds for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np  # noqa: F401 - hypothesis looks into it, not while a thread of the product is still loading it
import pytest
from tests.builders import FrozenClock

# PERF: servers and commands that tests start keep compiled sources; to compile them takes half a second each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


class RootIsNoPackageOfTests:
    """The repository's root is the package itself, which pytest would import under the name of the folder it lies in."""

    @pytest.hookimpl
    def pytest_collect_directory(self, path, parent):
        return pytest.Dir.from_parent(parent, path=path) if path == Path(__file__).parents[1] else None


@pytest.fixture
def clock():
    """A clock that stands until it is moved."""
    return FrozenClock()


def pytest_configure(config):
    config.pluginmanager.register(RootIsNoPackageOfTests())
