"""Writes `expected.json` and `expected_rows.json` anew: what ClickHouse itself gives for the lines of the `.txt` files.

Needs `pip install chdb` in any environment, which is no dependency of the project; run it by hand after adding lines:
`python tests/engine/hogql/regenerate.py`. HogQL's own names are given to ClickHouse first: `properties.x`, `toInt`,
the zone of instants, and comparisons with NULL.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import chdb

HERE = Path(__file__).parent
RECORD = json.loads((HERE / "record.json").read_text())
ZONES = ("UTC", "Europe/Berlin")
# A comparison is never NULL in HogQL; these lines say what its wrapping gives.
WRAPPED = {
    "p.missing = 'hello'": "ifNull({}, 0)",
    "p.text = 'hello'": "ifNull({}, 0)",
    "p.missing != 'hello'": "ifNull({}, 1)",
    "p.missing > 'a'": "ifNull({}, 0)",
    "p.missing like '%a%'": "ifNull({}, 0)",
    "p.missing not like '%a%'": "ifNull({}, 1)",
    "p.text like 'h%o'": "ifNull({}, 0)",
    "p.text ilike 'H%O'": "ifNull({}, 0)",
    "p.text not ilike 'H%'": "ifNull({}, 1)",
    "p.text in ('hello', 'x')": "ifNull({}, 0)",
    "p.text not in ('hello', 'x')": "ifNull({}, 1)",
    "p.missing in ('hello')": "ifNull({}, 0)",
    "p.missing not in ('hello')": "ifNull({}, 1)",
}
REPLACED = {"p.missing = NULL": "isNull(p.missing)", "p.text != NULL": "isNotNull(p.text)", "p.missing in (NULL)": "0"}


def main() -> None:
    wanted = lines_of("expressions.txt")
    found: list[dict[str, object]] = []
    for zone in ZONES:
        for line in wanted:
            if zone != "UTC" and not re.search(r"moment|later|Date", line):
                continue
            text = WRAPPED.get(line, "{}").format(REPLACED.get(line, line))
            answer = json.loads(str(chdb.query(query(text, zone), "JSONCompact")))
            found.append(
                {"expression": line, "zone": zone, "value": answer["data"][0][0], "type": answer["meta"][0]["type"]}
            )
    write("expected.json", found)
    answers = []
    for line in lines_of("queries.txt"):
        answer = json.loads(str(chdb.query(f"{line} SETTINGS prefer_column_name_to_alias = 0", "JSONCompact")))
        types = [column["type"] for column in answer["meta"]]
        answers.append({"query": line, "rows": answer["data"], "types": types})
    write("expected_rows.json", answers)


def lines_of(name: str) -> list[str]:
    lines = (HERE / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def write(name: str, found: list[dict[str, object]]) -> None:
    rows = ",\n".join(json.dumps(one, ensure_ascii=False) for one in found)
    (HERE / name).write_text(f"[\n{rows}\n]\n")


def query(text: str, zone: str) -> str:
    text = re.sub(r"\btoInt\(", "to_int(", text)
    text = re.sub(r"\btoFloat\(", "to_float(", text)
    text = re.sub(r"\btoBool\(", "to_bool(", text)
    text = re.sub(r"\btoDateTime\(('[^']*')\)", rf"parseDateTime64BestEffort(\1, 6, '{zone}')", text)
    text = re.sub(r"\bp\.(\w+)", r"property_\1", text)
    document = json.dumps(RECORD["properties"]).replace("\\", "\\\\").replace("'", "\\'")
    properties = ", ".join(
        f"toNullable(nullIf(trim(BOTH '\"' FROM JSONExtractRaw(properties, '{name}')), '')) AS property_{name}"
        for name in ("int", "float", "text", "flag", "missing")
    )
    moments = ", ".join(
        f"toDateTime64('{RECORD[name]}', 6, 'UTC')::DateTime64(6, '{zone}') AS {name}" for name in ("moment", "later")
    )
    casts = "\n".join(
        f"CREATE FUNCTION IF NOT EXISTS {name} AS (x) -> accurateCastOrNull(x, '{kind}');"
        for name, kind in (("to_int", "Int64"), ("to_float", "Float64"), ("to_bool", "Bool"))
    )
    inner = f"SELECT materialize('{document}') AS properties, {properties}, {moments}"
    return f"{casts}\nSELECT {text} AS found FROM ({inner}) SETTINGS session_timezone = '{zone}'"


if __name__ == "__main__":
    main()
