"""The thread that takes captured events over in the background."""

from __future__ import annotations

import threading

from insightlog.adapters.storage.duckdb.tail import TailingWriter


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
