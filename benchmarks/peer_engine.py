"""ClickHouse's engine (chDB) in a virtual environment and a process of its own, holding events as PostHog keeps them.

Run as a program by that environment's Python it answers one JSON line `{"sql"}` with one `{"seconds", "rows"}`.
Layout: PostHog's `sharded_events` in what its speed hangs on: parts by month, its sort key, JSON text; the person after
merges in the row; `$browser` has a materialised column, which the quickest shapes use; every part is merged.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any, Self

ENGINE = "chdb==4.*"
TABLE = """
CREATE TABLE events (
    uuid UUID, event String, properties String CODEC(ZSTD(3)), timestamp DateTime64(6, 'UTC'), team_id Int64,
    distinct_id String, person_id UUID,
    browser String MATERIALIZED replaceRegexpAll(JSONExtractRaw(properties, '$browser'), '^"|"$', '')
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))
"""
FILL = """
INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id)
SELECT toUUID(uuid), event, properties, timestamp, 1, distinct_id, reinterpretAsUUID(sipHash128(distinct_id))
FROM file('{file}', Parquet,
    'uuid String, event String, properties String, timestamp DateTime64(6), distinct_id String')
"""


class Peer:
    """The engine's process; made with its data on first use."""

    def __init__(self, home: Path, folder: Path, file: Path, threads: int) -> None:
        command = [str(_python(home)), __file__, str(folder), str(file), str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def ask(self, sql: str) -> tuple[float, list[list[Any]]]:
        """Return the seconds that the engine took, and its rows."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"sql": sql}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the engine has ended"}')
        if "error" in answer:
            raise RuntimeError(f"{answer['error']}\n{sql}")
        return answer["seconds"], answer["rows"]


def _python(home: Path) -> Path:
    python = home / "venv" / "bin" / "python"
    if not (home / "venv" / "ready").exists():
        venv.create(home / "venv", with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", ENGINE], check=True)
        (home / "venv" / "ready").touch()
    return python


def serve(folder: Path, file: Path, threads: int) -> None:
    """Answer lines of standard input."""
    import chdb.session  # type: ignore[import-not-found]

    is_new = not (folder / "ready").exists()
    session = chdb.session.Session(str(folder))
    for statement in ("CREATE DATABASE IF NOT EXISTS peer", "USE peer", f"SET max_threads = {threads}"):
        session.query(statement)
    if is_new:
        for statement in ("DROP TABLE IF EXISTS events", TABLE, FILL.format(file=file), "OPTIMIZE TABLE events FINAL"):
            session.query(statement)
        (folder / "ready").touch()
    for line in sys.stdin:
        begun = time.perf_counter()
        try:
            text = session.query(json.loads(line)["sql"], "JSONCompactEachRow").bytes().decode()
            seconds = time.perf_counter() - begun
            answer = {"seconds": seconds, "rows": [json.loads(row) for row in text.splitlines()]}
        except Exception as error:  # noqa: BLE001 the other process tells it
            answer = {"error": str(error)[-600:]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
