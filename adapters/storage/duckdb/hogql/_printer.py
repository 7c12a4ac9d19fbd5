"""HogQL trees as HogQL text: what a column without an alias is called."""

from __future__ import annotations

from sqlglot import exp

from ._dialect import COHORT

_FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.EQ: "equals", exp.NEQ: "notEquals", exp.GT: "greater", exp.GTE: "greaterOrEquals", exp.LT: "less",
    exp.LTE: "lessOrEquals", exp.Add: "plus", exp.Sub: "minus", exp.Mul: "multiply", exp.Div: "divide",
    exp.Mod: "modulo", exp.IntDiv: "intDiv", exp.DPipe: "concat", exp.RegexpLike: "match",
}  # fmt: skip


def printed(node: exp.Expr) -> str:
    """Return an expression as text: operators as functions, names and literals as they were written."""
    if type(node) in _FUNCTIONS:
        return f"{_FUNCTIONS[type(node)]}({printed(node.this)}, {printed(node.expression)})"
    if isinstance(node, exp.And | exp.Or):
        name = "and" if isinstance(node, exp.And) else "or"
        return f"{name}({', '.join(printed(part) for part in node.flatten())})"
    if isinstance(node, exp.Like | exp.ILike):
        name = "like" if isinstance(node, exp.Like) else "ilike"
        name = f"not{name[0].upper()}{name[1:]}" if node.args.get("negate") else name
        return f"{name}({printed(node.this)}, {printed(node.expression)})"
    if isinstance(node, exp.Not):
        return f"not({printed(node.this)})"
    if isinstance(node, exp.Neg):
        return f"-{printed(node.this)}"
    if isinstance(node, exp.Paren):
        return printed(node.this)
    if isinstance(node, exp.If):
        return f"if({printed(node.this)}, {printed(node.args['true'])}, {printed(node.args['false'])})"
    if isinstance(node, exp.Anonymous) and node.name != COHORT:
        return _call(node)
    if isinstance(node, exp.Tuple):
        return f"tuple({', '.join(printed(item) for item in node.expressions)})"
    if isinstance(node, exp.Array):
        return f"[{', '.join(printed(item) for item in node.expressions)}]"
    if isinstance(node, exp.In) and not node.args.get("query"):
        field = node.args.get("field")
        items = printed(field) if field is not None else f"tuple({', '.join(printed(one) for one in node.expressions)})"
        return f"in({printed(node.this)}, {items})"
    if isinstance(node, exp.Coalesce):
        return f"ifNull({', '.join(printed(part) for part in (node.this, *node.expressions))})"
    if isinstance(node, exp.Bracket):
        return _bracket(node)
    if isinstance(node, exp.Interval) and node.this is not None and node.args.get("unit") is not None:
        return f"toInterval{node.args['unit'].name.capitalize()}({node.this.name or printed(node.this)})"
    if isinstance(node, exp.Column | exp.Dot | exp.Identifier):
        return _name(node)
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    return str(node.sql(dialect="clickhouse", comments=False))


def _call(node: exp.Anonymous) -> str:
    arguments = list(node.expressions)
    prefix = ""
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        prefix, arguments = "DISTINCT ", arguments[0].expressions
    parameters = node.args.get("parameters")
    first = f"({', '.join(printed(one) for one in parameters)})" if parameters else ""
    return f"{node.name}{first}({prefix}{', '.join(printed(one) for one in arguments)})"


def _bracket(node: exp.Bracket) -> str:
    key = node.expressions[0]
    if isinstance(node.this, exp.Column) and isinstance(key, exp.Literal) and key.is_string:
        return f"{printed(node.this)}.{key.name}"
    return f"{printed(node.this)}[{', '.join(printed(one) for one in node.expressions)}]"


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Dot):
        return f"{printed(node.this)}.{_name(node.expression)}"
    if isinstance(node, exp.Column):
        return ".".join(_name(part) for part in node.parts)
    if isinstance(node, exp.Star):
        return "*"
    return str(node.name)
