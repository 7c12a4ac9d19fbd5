"""The text of a property as an instant, for date filters: the forms that products write dates in."""

from __future__ import annotations

from sqlglot import exp

_FORMATS = (
    "%d/%m/%Y %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d",
    "%d-%m-%Y %H:%M:%S", "%d-%m-%Y", "%a, %d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S", "%d %b %Y", "%b %d %Y",
)  # fmt: skip
_FORMAT_LIST = ", ".join(f"'{form}'" for form in _FORMATS)
_INSTANT: exp.Expr = exp.maybe_parse(
    f"""
    coalesce(
        CASE WHEN regexp_matches(x, '^[0-9]{{9,10}}([.][0-9]*)?$|^[0-9]{{13}}$')
            THEN make_timestamp(CAST(split_part(x[1:10], '.', 1) AS BIGINT) * 1000000) END,
        CAST(TRY_CAST(regexp_replace(x, '^([0-9]{{4}}-.*[0-9]) [A-Z]{{3,5}}$', '\\1') AS TIMESTAMPTZ) AS TIMESTAMP),
        try_strptime(x, [{_FORMAT_LIST}])
    )
    """,
    dialect="duckdb",
)


def instant_sql(text: exp.Expr) -> exp.Expr:
    """Return the text as a UTC timestamp, NULL when it is none.

    Read are ISO 8601 with or without offset (without: UTC), days, Unix seconds (9 or 10
    digits) and milliseconds, both as whole seconds, slash dates with the day first, and mail dates. The name of a zone
    behind a time (`12:34:12 BST`) says nothing, since such names are not unique.
    """
    found: exp.Expr = _INSTANT.transform(
        lambda node: exp.paren(text.copy()) if isinstance(node, exp.Column) and node.name == "x" else node
    )
    return found
