"""HogQL text to a sqlglot tree: ClickHouse's dialect with HogQL's names, operators and placeholders.

Every function call comes out as `exp.Anonymous` under the name that was written, so that one allow-list decides; what
the rest of the tree may hold is decided by the translator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NoReturn

from sqlglot import exp
from sqlglot.dialects.clickhouse import ClickHouse
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.parser import Parser
from sqlglot.parsers.clickhouse import ClickHouseParser
from sqlglot.tokenizer_core import Token, TokenType

from .....domain.errors import InvalidQuery

MAX_LENGTH = 10_000
"""Characters of an expression."""
MAX_QUERY_LENGTH = 100_000
"""Characters of a query."""
MAX_BRACKETS = 32
"""Brackets within each other, and operators that nest to the right."""
MAX_DEPTH = 150
"""Levels of the tree; a chain of AND or OR is one."""
MAX_NODES = 20_000
COHORT = "in cohort"
"""Name of the call that `x IN COHORT y` becomes; no text can spell it."""


class HogQL(ClickHouse):
    """The dialect that the texts are read with."""

    INDEX_OFFSET = 0
    """Positions in brackets stay as they are written."""

    class Tokenizer(ClickHouse.Tokenizer):
        """`$` belongs to names; `=~`, `!~`, `=~*` and `!~*` are operators."""

        HEREDOC_STRINGS: ClassVar[list[str | tuple[str, str]]] = []
        SINGLE_TOKENS: ClassVar[dict[str, TokenType]] = {
            key: kind for key, kind in ClickHouse.Tokenizer.SINGLE_TOKENS.items() if key not in ("$", "@")
        }
        KEYWORDS: ClassVar[dict[str, TokenType]] = {
            **ClickHouse.Tokenizer.KEYWORDS,
            "=~": TokenType.RLIKE,
            "=~*": TokenType.IRLIKE,
            "!~": TokenType.OPERATOR,
            "!~*": TokenType.OPERATOR,
        }

    class Parser(ClickHouseParser):
        """No function is known here."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CAST": Parser.FUNCTION_PARSERS["CAST"]}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        FUNC_TOKENS: ClassVar[set[TokenType]] = {*ClickHouseParser.FUNC_TOKENS, TokenType.IN, TokenType.NOT}

        def _parse_function(
            self,
            functions: Any = None,
            anonymous: bool = False,
            optional_parens: bool = True,
            any_token: bool = False,
        ) -> exp.Expr | None:
            """Return a call; in `quantile(0.9)(x)` the first arguments are kept as `parameters`."""
            # ClickHouse's own method sorts aggregates into nodes of several kinds.
            found = super(ClickHouseParser, self)._parse_function(functions, anonymous, optional_parens, any_token)
            if isinstance(found, exp.Anonymous) and self._match(TokenType.L_PAREN):
                arguments = self._parse_csv(self._parse_lambda)
                self._match_r_paren(found)
                call = exp.Anonymous(this=found.this, expressions=arguments)
                call.meta.update(found.meta)
                call.set("parameters", found.expressions)
                return self._parse_window(call)
            return found

        def _parse_in(self, this: exp.Expr | None, alias: bool = False) -> exp.In:
            if self._match_text_seq("COHORT"):
                cohort = self._parse_primary()
                return exp.Anonymous(this=COHORT, expressions=[this, cohort])  # type: ignore[return-value]
            return super()._parse_in(this, alias)


_WITH_UNIT = frozenset(
    {"dateadd", "date_add", "datesub", "date_sub", "timestampadd", "timestampsub", "datediff", "date_diff",
     "timestampdiff", "datetrunc", "date_trunc"}
)  # fmt: skip
_UNITS = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year"})


def parse_expression(text: str, path: str) -> exp.Expr:
    """Return the tree of one expression. Raises InvalidQuery at `path` for what is none, with its position."""
    tree = _parsed(text, path, MAX_LENGTH, None)
    if isinstance(tree, exp.Query):
        raise InvalidQuery("An expression is expected here, not a query.", path=path)
    return tree


def parse_select(text: str, path: str) -> exp.Query:
    """Return the tree of one SELECT, or several joined by UNION ALL. Raises InvalidQuery."""
    tree = _parsed(text, path, MAX_QUERY_LENGTH, None)
    if not isinstance(tree, exp.Query) or isinstance(tree, exp.Table | exp.Values):
        raise InvalidQuery("Only SELECT queries are supported.", path=path)
    return tree


def position_of(node: exp.Expr) -> str:
    """Return ` at line 1, column 7`, or nothing when the tree does not know."""
    for found in node.walk():
        line = found.meta.get("line")
        if line:
            start = found.meta.get("col", 0) - (found.meta.get("end", 0) - found.meta.get("start", 0))
            return f" at line {line}, column {max(start, 1)}"
    return ""


def refuse(message: str, node: exp.Expr, path: str) -> NoReturn:
    """Raise InvalidQuery: the message, followed by where in the text the node is."""
    raise InvalidQuery(f"{message}{position_of(node)}.", path=node.meta.get("path", path))


def placeholder(name: str) -> exp.Column:
    """Return the node that `{name}` is parsed into."""
    return exp.Column(this=exp.Identifier(this=f"{{{name}}}", quoted=False))


def refuse_placeholder(name: str) -> NoReturn:
    """Raise InvalidQuery: the peer says this without the field, and clients compare the sentence."""
    raise InvalidQuery(f"Placeholders, such as {{{name}}}, are not supported in this context")


def shown(node: exp.Expr) -> str:
    """Return the text of a node, shortened, for messages."""
    text = str(node.sql(dialect="clickhouse"))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _parsed(text: str, path: str, max_length: int, into: Any) -> exp.Expr:
    if not text.strip():
        raise InvalidQuery("A HogQL text may not be empty.", path=path)
    if len(text) > max_length:
        raise InvalidQuery(f"A HogQL text may have {max_length} characters.", path=path)
    dialect = HogQL()
    try:
        tokens = list(_rewritten(dialect.tokenize(text)))
        _check_brackets(tokens, path)
        parser = dialect.parser(error_level=ErrorLevel.IMMEDIATE)
        trees = parser.parse_into(into, tokens, text) if into else parser.parse(tokens, text)
    except SqlglotError as error:
        raise InvalidQuery(_syntax_error(error), path=path) from error
    except RecursionError as error:
        raise InvalidQuery("The HogQL text nests too deeply.", path=path) from error
    except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
        # sqlglot's parser trips over some unfinished texts.
        raise InvalidQuery("The HogQL text has a syntax error.", path=path) from error
    if len(trees) != 1 or trees[0] is None:
        raise InvalidQuery("One HogQL statement is expected.", path=path)
    _check_size(trees[0], path)
    return _marked(trees[0], path)


def _rewritten(tokens: list[Token]) -> Iterator[Token]:
    """Yield the tokens with `{name}` as one, and `!~` as NOT and the positive operator."""
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.token_type == TokenType.OPERATOR and token.text in ("!~", "!~*"):
            kind = TokenType.RLIKE if token.text == "!~" else TokenType.IRLIKE
            yield _like(token, TokenType.NOT, "NOT")
            yield _like(token, kind, f"={token.text[1:]}")
        elif token.token_type == TokenType.L_BRACE:
            end = place + 1
            while end < len(tokens) and tokens[end].token_type != TokenType.R_BRACE:
                end += 1
            name = "".join(one.text for one in tokens[place + 1 : end])
            yield _like(token, TokenType.VAR, f"{{{name}}}")
            place = end
        else:
            yield token
        place += 1


def _like(token: Token, kind: TokenType, text: str) -> Token:
    return Token(kind, text, line=token.line, col=token.col, start=token.start, end=token.end)


_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.CASE, TokenType.PLACEHOLDER})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.END})
_PREFIXES = frozenset({TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE, TokenType.ARROW})


def _check_brackets(tokens: list[Token], path: str) -> None:
    """Refuse deep nesting before the parser, which is recursive, sees it."""
    depth = prefixes = 0
    for token in tokens:
        kind = token.token_type
        depth += (kind in _OPENING) - (kind in _CLOSING)
        prefixes = prefixes + 1 if kind in _PREFIXES else 0
        if depth > MAX_BRACKETS or prefixes > MAX_BRACKETS:
            raise InvalidQuery(f"The HogQL text nests too deeply at line {token.line}, column {token.col}.", path=path)


def _check_size(tree: exp.Expr, path: str) -> None:
    n_nodes = 0
    waiting: list[tuple[exp.Expr, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        n_nodes += 1
        if depth > MAX_DEPTH or n_nodes > MAX_NODES:
            raise InvalidQuery("The HogQL text is too large or nests too deeply.", path=path)
        for child in node.iter_expressions():
            same = isinstance(node, exp.And | exp.Or) and type(child) is type(node)
            waiting.append((child, depth if same else depth + 1))


def _marked(tree: exp.Expr, path: str) -> exp.Expr:
    """Return the tree with its path at each node, and with units of time as texts: `dateAdd(day, 1, x)`."""
    for node in list(tree.walk()):
        node.meta["path"] = path
        if isinstance(node, exp.Anonymous) and node.name.lower() in _WITH_UNIT and node.expressions:
            unit = node.expressions[0]
            name = unit.name.lower() if isinstance(unit, exp.Column) and len(unit.parts) == 1 else ""
            if name in _UNITS:
                unit.replace(exp.Literal.string(name))
    return tree


def _syntax_error(error: SqlglotError) -> str:
    details = getattr(error, "errors", None) or [{}]
    first = details[0]
    if first.get("line"):
        near = first.get("highlight") or ""
        return f"Syntax error at line {first['line']}, column {first.get('col')}, near {near[:60]!r}."
    return "The HogQL text has a syntax error."
