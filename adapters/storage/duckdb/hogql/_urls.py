"""Functions of addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from ._registry import scalar
from ._types import STRING, Value, array_of, call, nullable, number, or_empty, text, when

if TYPE_CHECKING:
    from ._translate import Call

_URL_PARTS = {
    "protocol": r"^([a-zA-Z][a-zA-Z0-9+.-]*):",
    "domain": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//(?:[^/?#@]*@)?([^/?#:]*)",
    "domainWithoutWWW": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//(?:[^/?#@]*@)?(?:www\.)?([^/?#:]*)",
    "path": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*(/[^?#]*)",
    "pathFull": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*(/.*)",
    "queryString": r"\?([^#]*)",
    "netloc": r"^(?:(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//)?([^/?#]*)",
    "queryStringAndFragment": r"^[^?#]*\??(.*)",
    "fragment": r"#(.*)",
    "topLevelDomain": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#:]*\.([a-zA-Z]+)(?:[/?#:]|$)",
}


@scalar(" ".join(_URL_PARTS), 1)
def _url_part(c: Call) -> Value:
    value = c.text(0)
    sql = call("regexp_extract", value.sql, text(_URL_PARTS[c.name]), number(1))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


@scalar("cutQueryString cutFragment cutQueryStringAndFragment cutWWW", 1)
def _cut_url(c: Call) -> Value:
    pattern = {
        "cutQueryString": r"\?[^#]*", "cutFragment": r"#.*", "cutQueryStringAndFragment": r"[?#].*",
        "cutWWW": r"//www\.",
    }[c.name]  # fmt: skip
    value = c.text(0)
    sql = call("regexp_replace", value.sql, text(pattern), text("//" if c.name == "cutWWW" else ""))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


@scalar("extractURLParameter", 2)
def _url_parameter(c: Call) -> Value:
    value = c.text(0)
    name = re.escape(c.literal(1, str, "the name of a parameter"))
    sql = call("regexp_extract", value.sql, c.env.bind(rf"[?&]{name}=([^&#]*)"), number(1))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


@scalar("extractURLParameters extractURLParameterNames", 1)
def _url_parameters(c: Call) -> Value:
    value = c.text(0)
    behind = call("regexp_extract", value.sql, text("^[^?#]*[?#](.*)"), number(1), text("s"))
    parts = call("string_split_regex", behind, text("[&#]"))
    if c.name == "extractURLParameterNames":
        item = c.translator.fresh()
        name = call("regexp_extract", exp.column(item), text("^[^=]*"))
        parts = call("list_transform", parts, exp.Lambda(this=name, expressions=[exp.to_identifier(item)], colon=True))
    kind = array_of(STRING)
    return Value(or_empty(when(exp.NEQ(this=behind.copy(), expression=text("")), parts), kind), kind)
