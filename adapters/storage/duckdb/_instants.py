"""The text of a property as an instant, for date filters: the forms that products write dates in."""

from __future__ import annotations

from sqlglot import exp

_FORMATS = (
    "%d/%m/%Y %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d",
    "%d-%m-%Y %H:%M:%S", "%d-%m-%Y", "%d %b %Y %H:%M:%S", "%d %b %Y", "%b %d %Y",
)  # fmt: skip
_FORMAT_LIST = ", ".join(f"'{form}'" for form in _FORMATS)
_SECONDS = "regexp_matches(x, '^[0-9]{9,10}([.][0-9]*)?$|^[0-9]{10}([0-9]{3}){1,3}$')"
_HAS_OFFSET = "regexp_matches(x, ':[0-9]{2}([.][0-9]+)? ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$')"
_UNNAMED = "regexp_replace(x, '^([0-9]{4}-.*[0-9]) [A-Z]{3,5}$', '\\1')"
_LOCAL: exp.Expr = exp.maybe_parse(
    f"CASE WHEN x[-1:] BETWEEN '0' AND '9' OR x[1:1] BETWEEN '0' AND '9'"
    f" THEN coalesce(TRY_CAST({_UNNAMED} AS TIMESTAMP), try_strptime(x, [{_FORMAT_LIST}])) END",
    dialect="duckdb",
)
"""NOTE: DuckDB reads `infinity` and `epoch` too, which are no dates here."""
_INSTANT: exp.Expr = exp.maybe_parse(
    f"""
    CASE WHEN {_SECONDS} THEN make_timestamp(CAST(split_part(x[1:10], '.', 1) AS BIGINT) * 1000000)
        WHEN {_HAS_OFFSET}
            THEN CAST(coalesce(TRY_CAST(x AS TIMESTAMPTZ), try_strptime(x, '%a, %d %b %Y %H:%M:%S %z')) AS TIMESTAMP)
        ELSE wall_clock END
    """,
    dialect="duckdb",
)


def instant_sql(text: exp.Expr, zone: exp.Expr) -> exp.Expr:
    """Return the text as a UTC timestamp, NULL when it is none.

    Read are ISO 8601 with or without offset (without: by the clock of the zone, whose name is given), days, Unix
    seconds (9 or 10 digits), milli-, micro- and nanoseconds, all as whole seconds, slash dates with the day first, and
    mail dates. The name of a zone behind a time (`12:34:12 BST`) says nothing, since such names are not unique.
    """
    shown = exp.func("timezone", zone, _LOCAL.copy(), dialect="duckdb")
    instant = exp.func("timezone", exp.Literal.string("UTC"), shown, dialect="duckdb")
    known = {"x": exp.paren(text), "wall_clock": instant}

    def filled(node: exp.Expr) -> exp.Expr:
        return known[node.name].copy() if isinstance(node, exp.Column) and node.name in known else node

    found: exp.Expr = _INSTANT.transform(filled).transform(filled)
    return found
