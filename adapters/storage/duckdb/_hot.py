"""Properties that nearly every product asks for: each has a column of its own beside the JSON text of all properties.

A column holds exactly what reading the JSON text gives, so a plan may read either; it is filled when events are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

HOT_PROPERTIES = (
    "$browser", "$os", "$device_type", "$current_url", "$pathname", "$host", "$referring_domain",
    "$geoip_country_code", "$lib", "utm_source",
)  # fmt: skip
"""Changing them needs another `SCHEMA_VERSION`, so that files without the columns are built again."""
N_GROUP_TYPES = 5

_COLUMNS = {
    **{name: f"hot_{place}" for place, name in enumerate(HOT_PROPERTIES)},
    "$session_id": "session_id",
    **{f"$group_{index}": f"group_{index}" for index in range(N_GROUP_TYPES)},
    "$elements_chain": "elements_chain",
}
_PATHS = ", ".join(f"'/{name}'" for name in (*_COLUMNS, "$groups"))

COLUMN_DEFINITIONS = ", ".join(f"{column} VARCHAR" for column in _COLUMNS.values())
COLUMN_NAMES = ", ".join(_COLUMNS.values())
EXTRACTED = f"json_extract_string(properties, [{_PATHS}])"
"""SQL that gives the texts of all hot properties as one list; the JSON is parsed once."""
GROUPS = f"hot[{len(_COLUMNS) + 1}]"
"""SQL that gives the text of `$groups` from that list."""


def column_of(name: str) -> str | None:
    """Return the column of a property, None when it has none."""
    return _COLUMNS.get(name)


def property_text(name: str) -> str:
    """Return SQL that gives the text of one of our own property names (never of user input) over `events`."""
    return column_of(name) or f"json_extract_string(properties, '/{name}')"


def from_extracted(otherwise: Mapping[str, str]) -> str:
    """Return SQL that gives the columns from that list, called `hot`; `otherwise` helps out where it has NULL.

    An empty session id, group key or elements chain is none.
    """
    found = []
    for place, column in enumerate(_COLUMNS.values(), 1):
        text = f"coalesce(hot[{place}], {otherwise[column]})" if column in otherwise else f"hot[{place}]"
        found.append(text if column.startswith("hot_") else f"nullif({text}, '')")
    return ", ".join(found)
