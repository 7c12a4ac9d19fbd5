"""The public interface as a user's type checker sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

USE = Path(__file__).with_name("use.py")
ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".mypy_cache" / "use"
CONFIG = f"""
[mypy]
strict = true
mypy_path = {ROOT / ".typing"}
[mypy-insightlog.*]
ignore_errors = true
[mypy-sqlite_utils.*]
ignore_missing_imports = true
"""
"""What is not the user's own is seen like an installed package: `make check` looks into its functions."""


def mypy(text, tmp_path):
    file = tmp_path / "use.py"
    file.write_text(text)
    config = tmp_path / "mypy.ini"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--cache-dir", str(CACHE), str(file)]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)


def test_right_use_is_accepted_by_mypy_strict(tmp_path):
    done = mypy(USE.read_text(), tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [('get("abc")', "get(1.5)"), ('timezone="UTC"', "timezone=3"), ('refresh="blocking"', 'refresh="now"')],
)
def test_wrong_use_is_noticed(tmp_path, right, wrong):
    text = USE.read_text()
    assert right in text
    done = mypy(text.replace(right, wrong), tmp_path)
    assert done.returncode == 1, done.stdout
    assert "[arg-type]" in done.stdout
