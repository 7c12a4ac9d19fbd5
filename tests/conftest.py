"""What holds for all tests."""

from __future__ import annotations

import os

import numpy as np  # noqa: F401 - hypothesis looks into it, not while a thread of the product is still loading it

# PERF: servers and commands that tests start keep compiled sources; to compile them takes half a second each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
