"""Consistent copies of a folder while a server writes to it, and their way back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from attrs import asdict, frozen

from ..domain.errors import InvalidInput, StoreUnavailable
from .composition import CAPTURE_FILE, LOG_FILE, software_version
from .storage.files import ARCHIVE, IMPORTS, sync

MANIFEST = "backup.json"
Progress = Callable[[str], None]
"""Told the name of each file that is copied next."""


@frozen
class Backup:
    """What a copy holds."""

    made_at: str
    software: str
    position: int
    """Last position of the log."""
    captured: int
    """Last position of the capture log."""
    files: int
    size_bytes: int


def back_up(data: Path, to: Path, *, now: datetime, progress: Progress = lambda _: None) -> Backup:
    """Copy a folder, consistent, while others write to it; the copy is a folder that a server can start on.

    Everything that was acknowledged before the call is in it. The copy appears under its name once it is whole and on
    disk. `events.duckdb` and `results.sqlite` are left out: they are made again out of the rest. Raises `InvalidInput`
    for a folder without a log or a target that is not empty, `StoreUnavailable` when a copy fails.
    """
    if not (data / LOG_FILE).exists():
        raise InvalidInput(f"{data} holds no log.")
    part = _new_part(to)
    # What the log refers to is copied before it: each file is complete for whatever the files before it mention.
    kept = [(IMPORTS, path) for path in sorted((data / IMPORTS).glob("*.parquet"))]
    try:
        captured = _copy_database(data / CAPTURE_FILE, part / CAPTURE_FILE, "capture", progress)
        kept += [(ARCHIVE, path) for path in sorted((data / ARCHIVE).glob("*.parquet"))]
        for name, path in kept:
            progress(f"{name}/{path.name}")
            (part / name).mkdir(exist_ok=True)
            shutil.copy2(path, part / name / path.name)
            sync(part / name / path.name)
        position = _copy_database(data / LOG_FILE, part / LOG_FILE, "stored_events", progress)
        files = [path for path in part.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        made = Backup(now.isoformat(), software_version(), position, captured, len(files), size)
        (part / MANIFEST).write_text(json.dumps(asdict(made), indent=1) + "\n")
        _finish(part, to)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StoreUnavailable(f"The backup cannot be made now: {error}.") from error
    return made


def restore(copy: Path, data: Path, *, progress: Progress = lambda _: None) -> Backup:
    """Make a folder out of a copy, which stays as it is. Raises like `back_up`, also for what is no copy."""
    try:
        made = Backup(**json.loads((copy / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInput(f"{copy} holds no backup: {MANIFEST} cannot be read.") from error
    part = _new_part(data)
    try:
        for path in sorted(path for path in copy.rglob("*") if path.is_file() and path.name != MANIFEST):
            name = path.relative_to(copy)
            progress(str(name))
            (part / name).parent.mkdir(exist_ok=True)
            shutil.copy2(path, part / name)
            sync(part / name)
        _finish(part, data)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StoreUnavailable(f"The backup cannot be restored now: {error}.") from error
    return made


def _new_part(target: Path) -> Path:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput(f"{target} is not empty; name a new folder.")
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise StoreUnavailable(f"{part} cannot be made: {error}.") from error
    return part


def _finish(part: Path, target: Path) -> None:
    for folder in [part, *(path for path in part.iterdir() if path.is_dir())]:
        sync(folder)
    if target.exists():
        target.rmdir()
    part.rename(target)
    sync(target.absolute().parent)


def _copy_database(source: Path, target: Path, table: str, progress: Progress) -> int:
    """Copy an SQLite file in one snapshot, without holding up its writers; return the last row id of a table."""
    progress(source.name)
    if not source.exists():
        return 0
    uri = f"file:{quote(str(source.absolute()))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as live, closing(sqlite3.connect(target)) as copied:
        live.backup(copied)
        copied.execute("PRAGMA journal_mode=DELETE")
        (last,) = copied.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()
    sync(target)
    return int(last)
