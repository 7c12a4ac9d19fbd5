"""The thread that takes captured events over in the background."""

from __future__ import annotations

import threading

from insightlog.adapters.storage.duckdb.tail import TailingWriter
from insightlog.domain.errors import StoreUnavailable


class StoppedMeanwhile(threading.Event):
    """News whose clearing comes right after those of `stop`."""

    stopping: threading.Event

    def clear(self):
        self.stopping.set()
        self.set()
        super().clear()


def test_a_stop_between_waking_and_working_is_not_missed():
    worked = []
    writer = TailingWriter(lambda: worked.append("opened"))
    news = StoppedMeanwhile()
    news.stopping = writer._stopping
    writer._news = news
    writer.wake()
    thread = writer._thread
    thread.join(5)
    assert not thread.is_alive()
    assert worked == []


def test_a_file_that_others_hold_is_said_in_a_line(caplog):
    asked = threading.Event()

    def held():
        asked.set()
        raise StoreUnavailable("Another process holds it.")

    writer = TailingWriter(held)
    writer.wake()
    assert asked.wait(5)
    writer.stop()
    (said,) = caplog.records
    assert said.getMessage() == "captured events could not be taken over yet: Another process holds it."
    assert said.exc_info is None
