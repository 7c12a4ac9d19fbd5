"""What a server costs before anybody asks it: time to ready, time to end, memory of its processes."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path

spec = importlib.util.spec_from_file_location("benchmark_web", Path(__file__).with_name("web.py"))
web = importlib.util.module_from_spec(spec)
spec.loader.exec_module(web)


def resident_mb(parent):
    """Resident memory of a process and its children, pages that they share counted once for each."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(status.parent.name) == parent or int(fields["PPid"]) == parent:
            total += int(fields.get("VmRSS", "0 kB").split()[0])
    return total / 1024


def figure(name, ours, unit, **more):
    return {"name": name, "ours": ours, "ceiling": None, "ratio": None, "unit": unit, **more}


def run(events):
    """Rows in seconds and megabytes."""
    trend = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "x"}]}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("start to ready, new folder", "start to ready, folder in use"):
            port = web.free_port()
            server, seconds = web.serve(Path(folder) / "data", port)
            yield figure(name, seconds, "s", most=1.5)
            if name.endswith("in use"):
                time.sleep(1)
                yield figure("idle memory, nothing asked yet", resident_mb(server.pid), "MB", most=150)
                batch = [{"event": "x", "distinct_id": f"u{n}"} for n in range(1000)]
                web.ask(port, "POST", "/batch/", {"api_key": web.TOKEN, "batch": batch})
                web.ask(port, "POST", "/api/projects/1/query/", {"query": trend})
                time.sleep(1)
                yield figure("idle memory after capture and a trend", resident_mb(server.pid), "MB")
            began = time.perf_counter()
            server.terminate()
            server.wait(30)
        yield figure("SIGTERM to end", time.perf_counter() - began, "s")
