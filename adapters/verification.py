"""Verifying a whole folder: the log, its views, and the references between the stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen

from ..domain.errors import CorruptLog, StoreUnavailable
from .composition import CAPTURE_FILE, LOG_FILE, PRODUCT_FILE, open_log
from .storage.sqlite.upkeep import verify

BATCH = 5000


@frozen
class Report:
    """What was checked and what is wrong."""

    checked: list[str] = field(factory=list)
    problems: list[str] = field(factory=list)


def verify_folder(folder: Path, progress: Callable[[int, int], None]) -> Report:
    """Check a folder, beside a running server too; the report has no problems when it is whole."""
    report = Report()
    report.problems.extend(verify(folder / LOG_FILE, progress))
    report.checked.append("hash chain, versions and head of the log; every view against a replay")
    if report.problems or not any((folder / name).exists() for name in (CAPTURE_FILE, PRODUCT_FILE)):
        return report
    with open_log(folder) as log:
        projects = {one.id for one in log.projects()}
        captured, after = 0, log.parts.capture_log.archived()
        try:
            while rows := log.parts.capture_log.read(after, BATCH):
                strangers = {row.project_id for row in rows} - projects
                report.problems.extend(
                    f"Captured events name project {one}, which does not exist." for one in strangers
                )
                captured += len(rows)
                after = rows[-1].position
        except CorruptLog as error:
            report.problems.append(f"Capture log: {error}")
            return report
        report.checked.append(f"{captured} captured events and their projects")
        for is_last in (False, True):  # a damaged file is noticed by the first use and built again by the next
            try:
                store = log.parts.product_store()
                damaged = store.damaged_files()
                lost = 0 if damaged else store.missing_events()
            except StoreUnavailable as error:
                if is_last:
                    report.checked.append(f"not the product events in DuckDB, nor imports and archive ({error})")
            except CorruptLog as error:
                report.problems.append(str(error))
                return report
            else:
                report.problems.extend(damaged)
                if lost:
                    report.problems.append(
                        f"{lost} captured events are missing in DuckDB; remove its file to rebuild it."
                    )
                report.checked.append("imports, archive and DuckDB against each other and the capture log")
                break
    return report
