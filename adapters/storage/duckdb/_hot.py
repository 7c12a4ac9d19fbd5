"""Properties that nearly every product asks for: each has a column of its own beside the JSON text of all properties.

A column holds exactly what reading the JSON text gives, so a plan may read either; it is filled when events are loaded.
"""

from __future__ import annotations

HOT_PROPERTIES = (
    "$browser", "$os", "$device_type", "$current_url", "$pathname", "$host", "$referring_domain",
    "$geoip_country_code", "$lib", "utm_source",
)  # fmt: skip
"""Changing them needs another `SCHEMA_VERSION`, so that files without the columns are built again."""

_COLUMNS = {name: f"hot_{place}" for place, name in enumerate(HOT_PROPERTIES)}
_PATHS = ", ".join(f"'/{name}'" for name in HOT_PROPERTIES)

COLUMN_DEFINITIONS = ", ".join(f"{column} VARCHAR" for column in _COLUMNS.values())
EXTRACTED = f"json_extract_string(properties, [{_PATHS}])"
"""SQL that gives the texts of all hot properties as one list; the JSON is parsed once."""
FROM_EXTRACTED = ", ".join(f"hot[{place}]" for place in range(1, len(HOT_PROPERTIES) + 1))
"""SQL that gives the columns from that list, called `hot`."""


def column_of(name: str) -> str | None:
    """Return the column of a property, None when it has none."""
    return _COLUMNS.get(name)
