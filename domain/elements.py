"""Autocaptured elements: a page's element and those around it as one text (the chain), and CSS-like selectors.

The chain reads `tag.class1.class2:name="value"name="value"` per element, joined by `;`, the clicked element first.
Source: PostHog `elements_chain`; selectors of actions and element filters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

from .errors import InvalidQuery

MAX_ELEMENTS = 100
_SHOWN_APART = frozenset({"text", "href", "attr_id", "nth-child", "nth-of-type"})
MAX_SELECTOR_PARTS = 10
_KNOWN = frozenset({"tag_name", "attr_class", "classes", "attr__class", "attributes", "order"})
_RENAMED = {
    "$el_text": "text", "attr__id": "attr_id", "attr__href": "href", "nth_child": "nth-child",
    "nth_of_type": "nth-of-type",
}  # fmt: skip


def chain_of(elements: Sequence[Any]) -> str:
    """Return the chain of elements as SDKs send them (`$elements`), innermost first; what is no object is left out.

    >>> chain_of([{"tag_name": "a", "attr__class": "b a", "$el_text": "Go", "nth_child": 1}, {"tag_name": "body"}])
    'a.a.b:attr__class="b a"nth-child="1"text="Go";body'
    """
    return ";".join(_element_text(one) for one in elements[:MAX_ELEMENTS] if isinstance(one, Mapping))


def _element_text(element: Mapping[str, Any]) -> str:
    classes = element.get("attr_class") or element.get("classes") or element.get("attr__class") or ()
    listed = classes if isinstance(classes, list | tuple) else ()
    names = sorted(set(classes.split() if isinstance(classes, str) else map(str, listed)))
    attributes = dict(element.get("attributes") or {}) if isinstance(element.get("attributes"), Mapping) else {}
    attributes |= {_RENAMED.get(key, key): value for key, value in element.items() if key not in _KNOWN}
    if isinstance(element.get("attr__class"), str):
        attributes["attr__class"] = element["attr__class"]
    shown = "".join(f'{key}="{escaped(value)}"' for key, value in sorted(attributes.items()) if value is not None)
    head = "".join((str(element.get("tag_name") or ""), *(f".{name}" for name in names)))
    return f"{head}:{shown}" if shown else head


def escaped(value: object) -> str:
    """Return a value as it stands between the quotes of a chain."""
    return str(value).replace("\\", "\\\\").replace('"', '\\"')


@frozen
class SelectorPart:
    """What one element must have."""

    tag: str | None
    classes: tuple[str, ...] = ()
    """As written: a backslash may be part of the name, or escape the character behind it."""
    attributes: tuple[tuple[str, str | None], ...] = ()
    """Name as in HTML (or `nth-child`, `nth-of-type`) and value; None: whatever value."""
    combinator: Literal["child", "descendant"] = "descendant"
    """How it lies below the part before it."""


_TOKEN = re.compile(
    r"""(?P<tag>[a-zA-Z*][\w-]*)?
        (?P<rest>(?:\#(?:\\.|[\w-])+|\.(?:(?!:nth-)[^\s>.\#\[\]"])+|\[[\w:$-]+(?:=(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\]"']+))?\]
            |:nth-(?:child|of-type)\(\s*\d+\s*\))*)""",
    re.VERBOSE,
)
_PIECE = re.compile(
    r"""\#(?P<id>(?:\\.|[\w-])+)|\.(?P<cls>(?:(?!:nth-)[^\s>.\#\[\]"])+)
        |\[(?P<name>[\w:$-]+)(?:=(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<bare>[^\]"']+)))?\]
        |:nth-(?P<nth>child|of-type)\(\s*(?P<number>\d+)\s*\)""",
    re.VERBOSE,
)


def parse_selector(text: str) -> tuple[SelectorPart, ...]:
    """Return the parts of a selector, outermost first.

    Understood are tags, `#id`, `.class`, `[name="value"]`, `:nth-child(n)`, `:nth-of-type(n)`, blanks (descendant) and
    `>` (child). Raises InvalidQuery for anything else.

    >>> [part.tag for part in parse_selector("div > a.small")]
    ['div', 'a']
    """
    parts: list[SelectorPart] = []
    place, combinator = 0, "descendant"
    text = text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.end() == place or len(parts) == MAX_SELECTOR_PARTS:
            raise InvalidQuery(f"The selector {text[:100]!r} cannot be read.")
        parts.append(_part(match, combinator))
        gap = re.compile(r"\s*(>?)\s*").match(text, match.end())
        if gap is None or (gap.end() == match.end() and gap.end() < len(text)) or (gap[1] and gap.end() == len(text)):
            raise InvalidQuery(f"The selector {text[:100]!r} cannot be read.")
        combinator = "child" if gap[1] else "descendant"
        place = gap.end()
    return tuple(parts)


def _part(match: re.Match[str], combinator: str) -> SelectorPart:
    tag = match["tag"]
    classes: list[str] = []
    attributes: list[tuple[str, str | None]] = []
    for piece in _PIECE.finditer(match["rest"] or ""):
        if piece["cls"]:
            classes.append(piece["cls"])
        elif piece["id"]:
            attributes.append(("id", _unescaped(piece["id"])))
        elif piece["nth"]:
            attributes.append((f"nth-{piece['nth']}", piece["number"]))
        else:
            given = [piece[form] for form in ("double", "single", "bare") if piece[form] is not None]
            attributes.append((piece["name"], _unescaped(given[0]) if given else None))
    return SelectorPart(
        None if tag in (None, "*") else tag, tuple(classes), tuple(attributes),
        combinator,  # type: ignore[arg-type]
    )  # fmt: skip


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


_ELEMENT = re.compile(r"""((?:[^;"]|"(?:\\.|[^"\\])*")+)""")
_ATTRIBUTE = re.compile(r"""([^:="]+)="((?:\\.|[^"\\])*)\"""")


def elements_of(chain: str) -> list[dict[str, Any]]:
    """Return the elements of a chain, innermost first, as the API shows them."""
    return [_element_of(place, text) for place, text in enumerate(_ELEMENT.findall(chain))]


def _element_of(place: int, text: str) -> dict[str, Any]:
    head, _, rest = text.partition(":")
    tag, *classes = head.split(".")
    values = {name: value.replace('\\"', '"') for name, value in _ATTRIBUTE.findall(rest)}
    return {
        "text": values.get("text"),
        "tag_name": tag or None,
        "attr_class": classes or None,
        "href": values.get("href"),
        "attr_id": values.get("attr_id"),
        "nth_child": _number(values.get("nth-child", "")),
        "nth_of_type": _number(values.get("nth-of-type", "")),
        "attributes": {name: value for name, value in values.items() if name not in _SHOWN_APART},
        "order": place,
    }


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
