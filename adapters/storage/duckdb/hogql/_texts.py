"""Functions of texts, and of how long things are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from . import _operators
from ._registry import MANY, scalar
from ._sizes import bounded, product
from ._types import (
    STRING,
    TRUTH,
    UINT,
    Type,
    Value,
    any_null,
    array_of,
    call,
    cast,
    coalesce,
    is_null,
    nullable,
    number,
    text,
    when,
)  # fmt: skip

if TYPE_CHECKING:
    from ._translate import Call

MAX_REPEAT = 10_000


@scalar("concat", 1, MANY)
def _concat(c: Call) -> Value:
    # COMPAT: HogQL takes a missing part for empty, ClickHouse would give NULL for the whole.
    parts = [c.text(place) for place in range(len(c))]
    return Value(call("concat", *(part.sql for part in parts)), STRING)


def _text_function(c: Call, name: str, kind: Type = STRING) -> Value:
    value = c.text(0)
    return Value(call(name, value.sql), nullable(kind, when=value.type.is_nullable))


_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"


@scalar("lower upper lcase ucase", 1)
def _ascii_case(c: Call) -> Value:
    value = c.text(0)
    letters = (_UPPER, _LOWER) if c.name.startswith("l") else (_LOWER, _UPPER)
    return Value(call("translate", value.sql, text(letters[0]), text(letters[1])),
                 nullable(STRING, when=value.type.is_nullable))  # fmt: skip


_TEXT_FUNCTIONS = {
    "lowerUTF8": "lower", "upperUTF8": "upper", "reverse": "reverse", "reverseUTF8": "reverse",
    "trimLeft": "ltrim", "ltrim": "ltrim", "trimRight": "rtrim", "rtrim": "rtrim", "trim": "trim", "trimBoth": "trim",
    "encodeURLComponent": "url_encode",
}  # fmt: skip


@scalar(" ".join(_TEXT_FUNCTIONS), 1)
def _simple_text(c: Call) -> Value:
    return _text_function(c, _TEXT_FUNCTIONS[c.name])


@scalar("decodeURLComponent", 1)
def _decode_url(c: Call) -> Value:
    value = c.text(0)
    found = call("try", call("url_decode", value.sql))
    return Value(coalesce(found, value.sql.copy()), nullable(STRING, when=value.type.is_nullable))


@scalar("lengthUTF8 char_length character_length CHAR_LENGTH CHARACTER_LENGTH", 1)
def _characters(c: Call) -> Value:
    return _text_function(c, "length", UINT)


@scalar("MD5 SHA256", 1)
def _hash(c: Call) -> Value:
    return _text_function(c, c.name.lower())


@scalar("base64Encode", 1)
def _base64(c: Call) -> Value:
    value = c.text(0)
    return Value(call("to_base64", call("encode", value.sql)), nullable(STRING, when=value.type.is_nullable))


@scalar("base64Decode tryBase64Decode", 1)
def _unbase64(c: Call) -> Value:
    value = c.text(0)
    decoded = call("try", call("decode", call("from_base64", value.sql)))
    kind = nullable(STRING, when=value.type.is_nullable)
    return Value(when(is_null(value.sql.copy()), exp.null(), coalesce(decoded, text(""))), kind)


@scalar("leftPad lpad leftPadUTF8 rightPad rpad rightPadUTF8", 2, 3)
def _pad(c: Call) -> Value:
    value, size = c.text(0), c.integer(1)
    fill = c.text(2).sql if len(c) == 3 else text(" ")
    least = call("least", call("greatest", size.sql.copy(), number(0)), number(MAX_REPEAT))
    name = "lpad" if c.name.startswith("l") else "rpad"
    made = call(name, value.sql, cast(least, "INTEGER"), fill)
    return Value(bounded(size.sql, made, most=_most(c)), nullable(STRING, when=any_null(value, size)))


@scalar("repeat", 2)
def _repeat(c: Call) -> Value:
    value, times = c.text(0), c.integer(1)
    limit = exp.IntDiv(
        this=number(MAX_REPEAT), expression=call("greatest", call("length", value.sql.copy()), number(1))
    )
    least = call("least", call("greatest", times.sql.copy(), number(0)), exp.paren(limit))
    made = call("repeat", value.sql, least)
    return Value(bounded(times.sql, made, most=_most(c)), nullable(STRING, when=any_null(value, times)))


def _most(c: Call) -> int:
    """Return how long a text may be made: within lambdas, which make one for each element, less."""
    return (1 << 62, 1000, 12)[min(c.translator.depth, 2)]


@scalar("substring substr substringUTF8 mid", 2, 3)
def _substring(c: Call) -> Value:
    value, start = c.text(0), c.integer(1)
    parts = [value, start] + ([c.integer(2)] if len(c) == 3 else [])
    kind = nullable(STRING, when=any_null(*parts))
    nothing = exp.EQ(this=exp.paren(start.sql.copy()), expression=number(0))
    plain = call("substring", *(part.sql for part in parts))
    if len(c) == 3:
        # A negative length leaves out so many characters at the end.
        size, length = call("length", value.sql.copy()), exp.paren(parts[2].sql.copy())
        behind = exp.Add(this=size, expression=exp.paren(start.sql.copy()))
        is_from_end = exp.LT(this=exp.paren(start.sql.copy()), expression=number(0))
        before = when(is_from_end, behind, exp.Sub(this=exp.paren(start.sql.copy()), expression=number(1)))
        before = call("greatest", before, number(0))
        kept = exp.Sub(this=exp.Add(this=size.copy(), expression=length), expression=before)
        cut = call("substring", value.sql.copy(), exp.Add(this=before.copy(), expression=number(1)),
                   call("greatest", kept, number(0)))  # fmt: skip
        plain = when(exp.LT(this=length.copy(), expression=number(0)), cut, plain)
    return Value(when(nothing, call("left", value.sql.copy(), number(0)), plain), kind)


@scalar("left right leftUTF8 rightUTF8", 2)
def _left(c: Call) -> Value:
    value, size = c.text(0), c.integer(1)
    return Value(call(c.name.removesuffix("UTF8"), value.sql, size.sql), nullable(STRING, when=any_null(value, size)))


@scalar("position positionUTF8 positionCaseInsensitive positionCaseInsensitiveUTF8 locate", 2, 3)
def _position(c: Call) -> Value:
    hay, needle = (c.text(1), c.text(0)) if c.name == "locate" else (c.text(0), c.text(1))
    one, two = hay.sql, needle.sql
    if "CaseInsensitive" in c.name:
        one, two = call("lower", one), call("lower", two)
    kind = nullable(UINT, when=any_null(hay, needle))
    if len(c) == 2:
        return Value(call("instr", one, two), kind)
    before = exp.paren(exp.Sub(this=call("greatest", c.integer(2).sql, number(1)), expression=number(1)))
    found = call("instr", call("substring", one, exp.Add(this=before, expression=number(1))), two)
    place = exp.Add(this=found, expression=before.copy())
    return Value(when(exp.GT(this=found.copy(), expression=number(0)), place, number(0)), kind)


@scalar("startsWith endsWith", 2)
def _starts(c: Call) -> Value:
    one, two = c.text(0), c.text(1)
    name = "starts_with" if c.name == "startsWith" else "ends_with"
    return Value(call(name, one.sql, two.sql), nullable(TRUTH, when=any_null(one, two)))


@scalar("replace replaceAll replaceOne", 3)
def _replace(c: Call) -> Value:
    value, old, new = c.text(0), c.text(1), c.text(2)
    kind = nullable(STRING, when=any_null(value, old, new))
    if c.name != "replaceOne":
        made = call("replace", value.sql.copy(), old.sql, new.sql.copy())
        return Value(bounded(product(value.sql, new.sql), made), kind)
    place = call("instr", value.sql.copy(), old.sql.copy())
    after = exp.Add(this=place.copy(), expression=call("length", old.sql.copy()))
    sql = call("concat",
               call("left", value.sql.copy(), exp.Sub(this=place.copy(), expression=number(1))), new.sql,
               call("substring", value.sql.copy(), after))  # fmt: skip
    is_found = exp.and_(exp.GT(this=place, expression=number(0)), exp.NEQ(this=old.sql.copy(), expression=text("")))
    return Value(when(is_found, sql, value.sql), kind)


@scalar("replaceRegexpAll replaceRegexpOne", 3)
def _replace_pattern(c: Call) -> Value:
    value = c.text(0)
    pattern = c.env.bind(_operators.pattern_text(c.translator, c.arguments[1]))
    flags = text("gs" if c.name.endswith("All") else "s")
    new = c.text(2).sql
    made = call("regexp_replace", value.sql.copy(), pattern, new.copy(), flags)
    return Value(bounded(product(value.sql, new), made),
                 nullable(STRING, when=value.type.is_nullable))  # fmt: skip


@scalar("match", 2)
def _match(c: Call) -> Value:
    return _operators.matched(c.translator, c.arguments[0], c.arguments[1])


@scalar("extract", 2)
def _extract(c: Call) -> Value:
    value = c.text(0)
    pattern = _operators.pattern_text(c.translator, c.arguments[1])
    sql = call("regexp_extract", value.sql, c.env.bind(pattern), number(1 if _groups(pattern) else 0), text("s"))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


def _groups(pattern: str) -> bool:
    """Whether an RE2 pattern has a capturing group."""
    bare = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "", pattern)
    return re.search(r"\((?!\?)|\(\?P?<", bare) is not None


@scalar("extractAll", 2)
def _extract_all(c: Call) -> Value:
    value = c.text(0)
    pattern = _operators.pattern_text(c.translator, c.arguments[1])
    sql = call("regexp_extract_all", value.sql, c.env.bind(pattern), number(1 if _groups(pattern) else 0), text("s"))
    return Value(sql, array_of(STRING))


@scalar("countSubstrings countSubstringsCaseInsensitive", 2)
def _count_substrings(c: Call) -> Value:
    value, part = c.text(0), c.text(1)
    one, two = _folded(c, value.sql, part.sql)
    gone = call("replace", one, two, text(""))
    difference = exp.Sub(this=call("length", one.copy()), expression=call("length", gone))
    sql = exp.IntDiv(this=exp.paren(difference), expression=call("greatest", call("length", two.copy()), number(1)))
    return Value(exp.paren(sql), nullable(UINT, when=any_null(value, part)))


def _folded(c: Call, *texts: exp.Expr) -> list[exp.Expr]:
    """Return texts to be compared, in lower case where the function's name says so."""
    return [call("lower", one) for one in texts] if "CaseInsensitive" in c.name else list(texts)


@scalar("countMatches countMatchesCaseInsensitive", 2)
def _count_matches(c: Call) -> Value:
    value = c.text(0)
    pattern = c.env.bind(_operators.pattern_text(c.translator, c.arguments[1]))
    flags = text("si" if c.name.endswith("CaseInsensitive") else "s")
    found = call("regexp_extract_all", value.sql, pattern, number(0), flags)
    return Value(call("len", found), nullable(UINT, when=value.type.is_nullable))


@scalar("multiSearchAny multiSearchAnyCaseInsensitive", 2)
def _search_any(c: Call) -> Value:
    value, item = c.text(0), c.translator.fresh()
    parts, kind = c.array(1)
    if kind.name != "String":
        c.refuse(f"{c.name} expects texts", 1)
    one, two = _folded(c, value.sql, exp.column(item))
    test = exp.Lambda(this=call("contains", one, two), expressions=[exp.to_identifier(item)], colon=True)
    found = exp.GT(this=call("len", call("list_filter", parts, test)), expression=number(0))
    return Value(when(exp.not_(is_null(value.sql.copy())), found), nullable(TRUTH, when=value.type.is_nullable))


_WORD = "[^[:space:][:punct:]]+"


@scalar("hasToken hasTokenCaseInsensitive", 2)
def _has_token(c: Call) -> Value:
    value, word = c.text(0), c.text(1)
    one, two = _folded(c, value.sql, word.sql)
    found = call("list_contains", call("regexp_extract_all", one, text(_WORD)), two)
    return Value(found, nullable(TRUTH, when=any_null(value, word)))


@scalar("splitByNonAlpha", 1)
def _split_words(c: Call) -> Value:
    return Value(coalesce(call("regexp_extract_all", c.text(0).sql, text(_WORD)), _no_texts()), _TEXTS)


@scalar("translate translateUTF8", 3)
def _translate(c: Call) -> Value:
    values = [c.text(place) for place in range(3)]
    return Value(call("translate", *(value.sql for value in values)), nullable(STRING, when=any_null(*values)))


@scalar("concatWithSeparator", 2, MANY)
def _concat_with(c: Call) -> Value:
    parts = [c.text(place) for place in range(len(c))]
    joined = call("array_to_string", exp.Array(expressions=[part.sql for part in parts[1:]]), parts[0].sql)
    missing = [is_null(part.sql.copy()) for part in parts if part.type.is_nullable]
    sql = when(exp.not_(exp.paren(exp.or_(*missing))), joined) if missing else joined
    return Value(sql, nullable(STRING, when=any_null(*parts)))


@scalar("splitByChar splitByString", 2, 3)
def _split(c: Call) -> Value:
    separator, value = c.text(0), c.text(1)
    if c.name == "splitByChar" and len(c.literal(0, str, "one character")) != 1:
        c.refuse("The separator of splitByChar is one character", 0)
    return Value(coalesce(call("string_split", value.sql, separator.sql), _no_texts()), _TEXTS)


@scalar("splitByRegexp", 2)
def _split_pattern(c: Call) -> Value:
    pattern = c.env.bind(_operators.pattern_text(c.translator, c.arguments[0]))
    return Value(coalesce(call("string_split_regex", c.text(1).sql, pattern), _no_texts()), _TEXTS)


@scalar("splitByWhitespace", 1)
def _split_blanks(c: Call) -> Value:
    words = call("regexp_extract_all", c.text(0).sql, text(r"\S+"))
    return Value(coalesce(words, _no_texts()), _TEXTS)


_TEXTS = array_of(STRING)


def _no_texts() -> exp.Expr:
    return cast(exp.Array(expressions=[]), "VARCHAR[]")


@scalar("empty notEmpty", 1)
def _empty(c: Call) -> Value:
    value = c.value(0)
    size = call("len", value.sql) if value.type.name == "Array" else call("strlen", c.text(0).sql)
    operator = exp.EQ if c.name == "empty" else exp.GT
    return Value(operator(this=size, expression=number(0)), nullable(TRUTH, when=value.type.is_nullable))


@scalar("length", 1)
def _length(c: Call) -> Value:
    value = c.value(0)
    if value.type.name == "Array":
        return Value(call("len", value.sql), UINT)
    # Bytes, as in ClickHouse; lengthUTF8 counts characters.
    return Value(call("strlen", c.text(0).sql), nullable(UINT, when=value.type.is_nullable))
