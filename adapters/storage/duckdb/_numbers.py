"""Texts as numbers, and as the values that a property's type makes of them."""

from __future__ import annotations

from sqlglot import exp

_SHORT = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?$"


def number_sql(text: exp.Expr) -> exp.Expr:
    """Return the text as a 64-bit float, NULL when it is none.

    NOTE: blanks are removed as PostHog does; DuckDB would also read `1_000` and `nan`, which are no numbers here.
    """
    compact = exp.func("replace", exp.func("replace", text, exp.Literal.string(" "), exp.Literal.string("")),
                       exp.Literal.string("_"), exp.Literal.string("x"))  # fmt: skip
    return exp.Nullif(
        this=exp.TryCast(this=compact, to=exp.DataType.build("DOUBLE")),
        expression=exp.cast(exp.Literal.string("nan"), "DOUBLE"),
    )


def shown_number(text: exp.Expr) -> exp.Expr:
    """Return the shortest text of the number that a text is: `5` for `5.0`, NULL when it is none.

    PERF: what is short already, as most numbers are, stays as it is: 10 M rows take 0.5 s more than untyped ones, not
    2 s. That also keeps digits which a float does not have.
    """
    printed: exp.Expr = exp.cast(number_sql(text.copy()), "VARCHAR")
    for pattern, short in ((r"\.0$", ""), (r"\.0e", "e"), (r"e\+?(-?)0*", r"e\1")):
        printed = exp.Anonymous(
            this="regexp_replace", expressions=[printed, exp.Literal.string(pattern), exp.Literal.string(short)]
        )
    is_short = exp.Anonymous(this="regexp_matches", expressions=[text.copy(), exp.Literal.string(_SHORT)])
    return exp.Case(ifs=[exp.If(this=is_short, true=text.copy())], default=printed)


def shown_truth(text: exp.Expr) -> exp.Expr:
    """Return `true` or `false`, NULL for any other text."""
    names: list[exp.Expr] = [exp.Literal.string(name) for name in ("true", "false")]
    return exp.Case(ifs=[exp.If(this=exp.In(this=text.copy(), expressions=names), true=text.copy())])
