"""What is said of captured events that `capture.sqlite` has lost: DuckDB's file remembers how many it was built from.

A note beside the file that was moved aside tells it as long as the note is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from ._tables import ASIDE

logger = logging.getLogger("insightlog.tail")


def note_lost(aside: Path, n_events: int) -> None:
    """Say, now and in a note, that the capture log lacks events which a file that was moved aside was built from."""
    note = aside.with_name(f"{aside.name}.txt")
    told = (
        f"capture.sqlite lacks {n_events:,} captured events that it once had: it was deleted, replaced or cut short. "
        f"Answers go without them. Restore a backup (insightlog restore), or live with it: {aside.name} has what "
        f"was known of them, and this is said until {note.name} is deleted."
    )
    note.write_text(f"{told}\n")
    logger.error(told)


def lost_events(folder: Path) -> Iterator[str]:
    """Give what the notes say."""
    yield from (note.read_text().strip() for note in sorted(folder.glob(f"*{ASIDE}*.txt")))
