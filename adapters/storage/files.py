"""Folders beside the stores, and files that stay where they are when the machine stops."""

from __future__ import annotations

import os
from pathlib import Path

IMPORTS, ARCHIVE = "imports", "archive"
"""The folders of what was imported, and of what was moved out of the capture log."""


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep(temporary: Path, final: Path) -> None:
    """Give a written file its name, durably."""
    sync(temporary)
    temporary.rename(final)
    sync(final.parent)
