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

COLUMN_DEFINITIONS = ", ".join(f"{column} VARCHAR" for column in _COLUMNS.values())
COLUMN_NAMES = ", ".join(_COLUMNS.values())
POINTERS = tuple(f"/{name}" for name in (*_COLUMNS, "$groups"))
"""JSON pointers of what is read from an event when it is inserted; those of more columns follow them."""
EXTRACTED = "json_extract_string(properties, $pointers)"
"""SQL that gives the texts of all of these as one list; the JSON is parsed once."""
GROUPS = f"hot[{len(_COLUMNS) + 1}]"
"""SQL that gives the text of `$groups` from that list."""


def column_of(name: str) -> str | None:
    """Return the column of a property, None when it has none."""
    return _COLUMNS.get(name)


def property_text(name: str) -> str:
    """Return SQL that gives the text of one of our own property names (never of user input) over `events`."""
    return column_of(name) or f"json_extract_string(properties, '/{name}')"


def json_pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a top-level key, whatever characters it has."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def from_extracted(otherwise: Mapping[str, str], *, n_more: int = 0) -> str:
    """Return SQL that gives the columns from that list, called `hot`; `otherwise` helps out where it has NULL.

    An empty session id, group key or elements chain is none. `n_more` columns follow them as they are.
    """
    found = []
    for place, column in enumerate(_COLUMNS.values(), 1):
        text = f"coalesce(hot[{place}], {otherwise[column]})" if column in otherwise else f"hot[{place}]"
        found.append(text if column.startswith("hot_") else f"nullif({text}, '')")
    found += [f"hot[{len(POINTERS) + place}]" for place in range(1, n_more + 1)]
    return ", ".join(found)
