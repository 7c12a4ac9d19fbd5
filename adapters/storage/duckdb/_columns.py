"""Properties of events that have a column of their own beside the JSON text of all properties.

A column holds exactly what reading the JSON text gives, so a plan may read either. Common properties get theirs as soon
as an event has one, others when queries keep asking for them (`_asked`). PERF: an empty column makes loading half a
percent slower, and most projects never send most of the common properties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from attrs import Factory, define, frozen

if TYPE_CHECKING:
    import duckdb

N_GROUP_TYPES = 5
GROUP_KEYS = tuple(f"$group_{index}" for index in range(N_GROUP_TYPES))
_OTHERWISE = {**dict.fromkeys(GROUP_KEYS, "$groups"), "$elements_chain": "$elements"}
"""What else gives the text of a property when an event does not have it."""
_NO_EMPTY_TEXT = frozenset({"$session_id", *_OTHERWISE})
"""Properties whose empty text is none."""
COMMON = (
    "$browser", "$os", "$device_type", "$current_url", "$pathname", "$host", "$referring_domain",
    "$geoip_country_code", "$lib", "utm_source", "$session_id", *GROUP_KEYS, "$elements_chain",
)  # fmt: skip
"""Properties that nearly every product asks for. A longer list needs another `SCHEMA_VERSION`."""
NOTHING = "nothing"
"""A column that holds NULL: it stands for a common property that no event has yet."""
TABLE = """
CREATE TABLE property_columns (
    place INTEGER NOT NULL, property_name VARCHAR NOT NULL, n_rows BIGINT NOT NULL, n_filled BIGINT NOT NULL);
"""
EXTRACTED = "json_extract_string(properties, $pointers)"
"""SQL that gives the texts of what an `Extraction` reads as one list; the JSON is parsed once."""


def json_pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a top-level key, whatever characters it has."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


@frozen
class PropertyColumn:
    """A column of the table of events."""

    place: int
    property_name: str
    n_rows: int
    """How many events there were without it when it was added; later ones come with it."""
    n_filled: int

    @property
    def name(self) -> str:
        """The column's name."""
        return f"property_{self.place}"

    @property
    def is_complete(self) -> bool:
        """Whether every event has it."""
        return self.n_filled >= self.n_rows


def columns_of(connection: duckdb.DuckDBPyConnection) -> list[PropertyColumn]:
    """Return the columns in their order in the table."""
    rows = connection.execute("SELECT place, property_name, n_rows, n_filled FROM property_columns ORDER BY place")
    return [PropertyColumn(*row) for row in rows.fetchall()]


def add_column(connection: duckdb.DuckDBPyConnection, place: int, name: str, n_rows: int) -> None:
    """Add a column that `n_rows` events are yet to get. Works inside the caller's transaction."""
    column = PropertyColumn(place, name, n_rows, 0)
    connection.execute(f"ALTER TABLE events ADD COLUMN {column.name} VARCHAR")
    connection.execute("INSERT INTO property_columns VALUES (?, ?, ?, 0)", [place, name, n_rows])


@define(eq=False)
class PropertyColumns:
    """The columns that an open file has; changed by whoever holds the store's lock, read by all threads."""

    complete: Mapping[str, str] = MappingProxyType({})
    """The names of the columns that plans may read, by property; never changed in place."""
    loaded: Mapping[str, str] = MappingProxyType({})
    """Those that are filled when events are loaded."""
    n_common: int = 0
    """How many of the common properties have one."""

    @property
    def has_work(self) -> bool:
        """Whether one is to be filled."""
        return len(self.complete) < len(self.loaded)

    def read(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Note which columns there are; whoever sees the new number of common ones sees their names as well."""
        columns = columns_of(connection)
        self.loaded = {one.property_name: one.name for one in columns}
        self.complete = {one.property_name: one.name for one in columns if one.is_complete}
        self.n_common = len(self.complete.keys() & set(COMMON))

    def prepare(self, connection: duckdb.DuckDBPyConnection, may_have: Callable[[str], bool]) -> None:
        """Add the common properties that events to be loaded may have; `may_have` tells of a property.

        In a transaction of its own: a query that finds such an event also finds, once it has read it, that there is
        another column than when it was planned.
        """
        from ._tables import transaction  # noqa: PLC0415 - it creates our table

        wanted = [
            name for name in COMMON
            if name not in self.loaded and (may_have(name) or may_have(_OTHERWISE.get(name, name)))
        ]  # fmt: skip
        if wanted:
            with transaction(connection):
                for place, name in enumerate(wanted, len(self.loaded)):
                    add_column(connection, place, name, 0)
            self.read(connection)


def column_of(name: str, columns: Mapping[str, str]) -> str | None:
    """Return the column that holds a property, None when only the JSON text does; `columns` are the complete ones."""
    return columns.get(name) or (NOTHING if name in COMMON else None)


@frozen
class Extraction:
    """What is read from the JSON text of events when they are inserted; `texts` in its SQL is the list `EXTRACTED`."""

    columns: Mapping[str, str] = Factory(dict)
    """The columns to be filled, by property."""
    may_have: Callable[[str], bool] = lambda _: True
    """Whether an event may have a property. PERF: what no event has is not looked for."""

    @property
    def names(self) -> list[str]:
        """The properties that are read, never none."""
        return [name for name in (*self.columns, "$groups") if self.may_have(name)] or ["$lib"]

    @property
    def pointers(self) -> list[str]:
        """Their JSON pointers, for `$pointers`."""
        return [json_pointer(name) for name in self.names]

    @property
    def groups(self) -> str:
        """SQL that gives the text of `$groups`; NULL for what cannot be read, as clients may send what they like."""
        text = self._texts().get("$groups", "NULL")
        return f"CASE WHEN json_valid({text}) THEN {text} END"

    def filled(self, otherwise: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, str]:
        """Return SQL by column; those that are left out stay empty. PERF: planning an empty one takes 0.01 ms.

        `otherwise` helps out by property where it is not there.
        """
        texts = self._texts()
        found = {}
        for name, column in self.columns.items():
            sources = [one for one in (texts.get(name), otherwise.get(name)) if one is not None]
            if sources:
                text = f"coalesce({', '.join(sources)})" if len(sources) > 1 else sources[0]
                found[column] = f"nullif({text}, '')" if name in _NO_EMPTY_TEXT else text
        return found

    def _texts(self) -> Mapping[str, str]:
        return {name: f"texts[{place}]" for place, name in enumerate(self.names, 1)}
