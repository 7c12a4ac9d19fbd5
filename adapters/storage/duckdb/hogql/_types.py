"""What is known of a value before the query runs: its ClickHouse type, whether it may be NULL, its constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, field, frozen
from sqlglot import exp


@frozen
class Type:
    """A ClickHouse type. `Truth` is a comparison's result: a boolean in DuckDB, shown as UInt8."""

    name: str
    is_nullable: bool = False
    items: tuple[Type, ...] = ()
    """Of an Array one, of a Tuple each element."""
    zone: str | None = None
    """Of a DateTime; None for the project's."""

    def shown(self, zone: str) -> str:
        """Return the type as ClickHouse prints it; `zone` is the project's."""
        name = {"Truth": "UInt8", "DateTime64": "DateTime64(6"}.get(self.name, self.name)
        if self.name == "DateTime64":
            name += f", '{self.zone or zone}')"
        elif self.name == "DateTime":
            name += f"('{self.zone or zone}')"
        elif self.items:
            name += f"({', '.join(item.shown(zone) for item in self.items)})"
        return f"Nullable({name})" if self.is_nullable and not self.items else name

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number."""
        return self.name.startswith(("Int", "UInt")) and self.name != "Interval"

    @property
    def is_number(self) -> bool:
        """Whether it is a number."""
        return self.is_integer or self.name == "Float64"

    @property
    def is_truth(self) -> bool:
        """Whether DuckDB holds it as a boolean."""
        return self.name in ("Truth", "Bool")

    @property
    def is_instant(self) -> bool:
        """Whether DuckDB holds it as a timestamp, in UTC."""
        return self.name in ("DateTime", "DateTime64")

    @property
    def bits(self) -> int:
        """Size of an integer."""
        return int(self.name.removeprefix("U").removeprefix("Int"))


NULL = Type("Nothing", is_nullable=True)
STRING = Type("String")
FLOAT = Type("Float64")
INT = Type("Int64")
UINT = Type("UInt64")
BYTE = Type("UInt8")
TRUTH = Type("Truth")
BOOL = Type("Bool")
INSTANT = Type("DateTime64")
SECOND = Type("DateTime")
DATE = Type("Date")
UUID = Type("UUID")

_NO_CONSTANT: Any = object()


@frozen
class Value:
    """A translated expression."""

    sql: exp.Expr
    type: Type
    constant: Any = field(default=_NO_CONSTANT, eq=False)
    is_json: bool = False
    """Whether the text is known to be JSON."""
    identity: exp.Expr | None = field(default=None, eq=False)
    """Something cheaper that is different exactly where the value is, for counting distinct values."""

    @property
    def is_constant(self) -> bool:
        """Whether it was written as a literal; `constant` is its Python value then."""
        return self.constant is not _NO_CONSTANT

    @property
    def is_null(self) -> bool:
        """Whether it was written as NULL."""
        return self.type == NULL


def nullable(kind: Type, *, when: bool = True) -> Type:
    """Return the type, nullable if `when`; arrays and tuples are never NULL."""
    return evolve(kind, is_nullable=True) if when and kind.name not in ("Array", "Tuple") else kind


def any_null(*values: Value) -> bool:
    """Return whether one of some values may be null."""
    return any(value.type.is_nullable for value in values)


def present(kind: Type) -> Type:
    """Return the type without NULL."""
    return evolve(kind, is_nullable=False) if kind.name != "Nothing" else kind


def array_of(kind: Type) -> Type:
    """Return the type of an array."""
    return Type("Array", items=(kind,))


def integer_type(value: int) -> Type:
    """Return the smallest integer type of a literal, as ClickHouse types it."""
    if value >= 0:
        return next((Type(f"UInt{bits}") for bits in (8, 16, 32) if value < 1 << bits), UINT)
    return next((Type(f"Int{bits}") for bits in (8, 16, 32) if value >= -(1 << (bits - 1))), INT)


def common_type(kinds: Sequence[Type]) -> Type | None:
    """Return the type that all can be given as, None when there is none."""
    real = [kind for kind in kinds if kind.name != "Nothing"]
    is_nullable = any(kind.is_nullable for kind in kinds)
    if not real:
        return NULL
    if all(present(kind) == present(real[0]) for kind in real):
        return nullable(real[0], when=is_nullable)
    names = {kind.name for kind in real}
    if all(kind.is_number or kind.is_truth for kind in real):
        return nullable(_common_number(real), when=is_nullable)
    if names <= {"Date", "DateTime", "DateTime64"}:
        return nullable(INSTANT if "DateTime64" in names else SECOND, when=is_nullable)
    if names == {"Array"}:
        item = common_type([kind.items[0] for kind in real])
        return array_of(item) if item is not None else None
    return None


def _common_number(kinds: Sequence[Type]) -> Type:
    if any(kind.name == "Float64" for kind in kinds):
        return FLOAT
    whole = [BYTE if kind.is_truth else kind for kind in kinds]
    bits = max(kind.bits for kind in whole)
    if all(kind.name.startswith("U") for kind in whole):
        return Type(f"UInt{bits}")
    unsigned = max((kind.bits for kind in whole if kind.name.startswith("U")), default=0)
    return Type(f"Int{min(64, max(bits, unsigned * 2))}")


def whole_type(*kinds: Type, doubled: bool = False) -> Type:
    """Return the integer type of the largest of some, signed if any is; twice as large if `doubled`."""
    whole = [BYTE if kind.is_truth else kind for kind in kinds]
    bits = max(kind.bits for kind in whole) * (2 if doubled else 1)
    is_signed = any(not kind.name.startswith("U") for kind in whole)
    return Type(f"{'' if is_signed else 'U'}Int{min(64, bits)}")


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """Return a call of a DuckDB function; the name is ours, never the query's."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def text(value: str) -> exp.Expr:
    """Return a text constant of ours; those of queries are bound."""
    return exp.Literal.string(value)


def number(value: int) -> exp.Expr:
    """Return a whole number as SQL."""
    return exp.Literal.number(value) if value >= 0 else exp.paren(exp.Neg(this=exp.Literal.number(-value)))


def nan() -> exp.Expr:
    """Return the float that is no number."""
    return cast(text("nan"), "DOUBLE")


def cast(sql: exp.Expr, kind: str) -> exp.Expr:
    """Return a cast to a DuckDB type of ours."""
    return exp.Cast(this=sql, to=exp.DataType.build(kind, dialect="duckdb"))


def try_cast(sql: exp.Expr, kind: str) -> exp.Expr:
    """Return a cast that gives NULL where it fails."""
    return exp.TryCast(this=sql, to=exp.DataType.build(kind, dialect="duckdb"))


def when(condition: exp.Expr, then: exp.Expr, otherwise: exp.Expr | None = None) -> exp.Expr:
    """Return a CASE with one branch."""
    return exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise)


_EMPTY = {"String": "", "UUID": "00000000-0000-0000-0000-000000000000", "Date": "1970-01-01",
          "DateTime": "1970-01-01", "DateTime64": "1970-01-01"}  # fmt: skip


def or_empty(sql: exp.Expr, kind: Type) -> exp.Expr:
    """Return a value, or what ClickHouse has for none of its type: empty text, zero, 1970; NULL stays for nullables."""
    if kind.is_nullable or kind.name in ("Nothing", "Tuple"):
        return sql
    if kind.is_truth:
        return coalesce(sql, exp.false())
    if kind.is_number:
        return coalesce(sql, number(0))
    if kind.name == "Array":
        return coalesce(sql, exp.Array(expressions=[]))
    names = {"String": "VARCHAR", "UUID": "UUID", "Date": "DATE"}
    if kind.name not in _EMPTY:
        return sql
    return coalesce(sql, cast(text(_EMPTY[kind.name]), names.get(kind.name, "TIMESTAMP")))


def is_null(sql: exp.Expr) -> exp.Expr:
    """Return `sql IS NULL`."""
    return exp.Is(this=exp.paren(sql), expression=exp.null())


def coalesce(sql: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Return the first of both that is not NULL."""
    return exp.Coalesce(this=sql, expressions=[other])
