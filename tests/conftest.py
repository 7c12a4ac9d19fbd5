"""What holds for all tests."""

from __future__ import annotations

import os

# PERF: servers and commands that tests start keep compiled sources; to compile them takes half a second each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
