"""Properties that nearly every product asks for: each has a column of its own beside the JSON text of all properties.

A column holds exactly what reading the JSON text gives, so a plan may read either; it is filled when events are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from attrs import frozen

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
EXTRACTED = "json_extract_string(properties, $pointers)"
"""SQL that gives the texts of what an `Extraction` reads as one list; the JSON is parsed once."""


def column_of(name: str) -> str | None:
    """Return the column of a property, None when it has none."""
    return _COLUMNS.get(name)


def asked_column(place: int) -> str:
    """Return the column of a property that was asked for, by its place among them."""
    return f"asked_{place}"


def property_text(name: str) -> str:
    """Return SQL that gives the text of one of our own property names (never of user input) over `events`."""
    return column_of(name) or f"json_extract_string(properties, '/{name}')"


def json_pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a top-level key, whatever characters it has."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


@frozen
class Extraction:
    """What is read from the JSON text of events when they are inserted; `hot` in its SQL is the list `EXTRACTED`."""

    more: Sequence[str] = ()
    """Properties with columns of their own that follow those of `COLUMN_NAMES`."""
    may_have: Callable[[str], bool] = lambda _: True
    """Whether an event may have a property. PERF: most columns are empty, and what no event has is not looked for."""

    @property
    def names(self) -> list[str]:
        """The properties that are read, never none."""
        return [name for name in (*_COLUMNS, "$groups", *self.more) if self.may_have(name)] or ["$lib"]

    @property
    def pointers(self) -> list[str]:
        """Their JSON pointers, for `$pointers`."""
        return [json_pointer(name) for name in self.names]

    @property
    def groups(self) -> str:
        """SQL that gives the text of `$groups`; NULL for what cannot be read, as clients may send what they like."""
        text = self._texts().get("$groups", "NULL")
        return f"CASE WHEN json_valid({text}) THEN {text} END"

    def columns(self, otherwise: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, str]:
        """Return SQL by column; those that are left out stay empty. PERF: planning an empty one takes 0.01 ms.

        `otherwise` helps out by column where the property is not there. An empty session id, group key or elements
        chain is none.
        """
        texts = self._texts()
        found = {}
        for name, column in _COLUMNS.items():
            sources = [one for one in (texts.get(name), otherwise.get(column)) if one is not None]
            if sources:
                text = f"coalesce({', '.join(sources)})" if len(sources) > 1 else sources[0]
                found[column] = text if column.startswith("hot_") else f"nullif({text}, '')"
        return found | {asked_column(place): texts[name] for place, name in enumerate(self.more) if name in texts}

    def _texts(self) -> Mapping[str, str]:
        return {name: f"hot[{place}]" for place, name in enumerate(self.names, 1)}
