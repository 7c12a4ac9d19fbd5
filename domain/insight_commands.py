"""What may be wished of an insight, and which values its fields may have. What a wish leads to is in `insight`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from .errors import InvalidInput
from .sharing import ShareCommand

MAX_TEXT = 400
MIN_ORDER, MAX_ORDER = -(2**31), 2**31 - 1
DEFINITION = (
    "name", "derived_name", "description", "query", "filters", "order", "tags", "favorited", "saved", "deleted",
)  # fmt: skip
"""The fields that an edit may change, in the order in which they are listed everywhere."""


class Unset:
    """The type of `UNSET`: a field that a command does not mention."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


@frozen(kw_only=True)
class Definition:
    """What a caller says about an insight: every field may be left out."""

    name: str | Unset | None = UNSET
    derived_name: str | Unset | None = UNSET
    description: str | Unset | None = UNSET
    query: Any = UNSET
    filters: Any = UNSET
    order: int | Unset | None = UNSET
    tags: tuple[str, ...] | Unset = UNSET
    favorited: bool | Unset = UNSET
    saved: bool | Unset = UNSET
    deleted: bool | Unset = UNSET
    dashboards: tuple[int, ...] | Unset = UNSET
    """The whole set of dashboards to stand on; that they exist is for the caller to see to."""

    def given(self) -> dict[str, Any]:
        """Return the fields that are mentioned, cleaned as they will be stored."""
        values = {field: getattr(self, field) for field in (*DEFINITION, "dashboards")}
        values = {field: value for field, value in values.items() if value is not UNSET}
        if "tags" in values:
            values["tags"] = clean_tags(values["tags"])
        return values


@frozen
class CreateInsight:
    """The wish for a new insight under a free short id."""

    short_id: str
    definition: Definition
    is_sample: bool = False


@frozen
class EditInsight:
    """The wish for changes; `deleted=False` on a deleted insight restores it."""

    definition: Definition
    may_restore: bool = True


@frozen
class SetBack:
    """The wish that fields of the definition, `dashboards` among them, have values that they had before."""

    values: Mapping[str, Any]
    to_version: int | None = None
    """The version whose whole definition this is; None for some fields only."""


@frozen
class StandOn:
    """The wish to stand on just these dashboards, when they are what is edited and not the insight."""

    dashboards: tuple[int, ...]


@frozen
class SetAccess:
    """The wish for a level of a member, of a role's members or of everyone; None takes the rule away."""

    level: str | None
    member: int | None = None
    role: int | None = None


Command = CreateInsight | EditInsight | SetBack | StandOn | SetAccess | ShareCommand


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Trim, lower-case and sort tags, without empty ones and duplicates. Raises `InvalidInput` for what is no text.

    >>> clean_tags([" Growth", "growth", "", "Web"])
    ('growth', 'web')
    """
    gathered = list(tags)
    if not all(isinstance(tag, str) and is_unicode(tag) for tag in gathered):
        raise InvalidInput("Not a valid string.", path="tags")
    return tuple(sorted({tag.strip().lower() for tag in gathered} - {""}))


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no lone surrogates, and no NUL characters."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def check_definition(given: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` for the first field with a value that it may not have."""
    for field in ("name", "derived_name", "description"):
        text = given.get(field)
        if text is not None and not (isinstance(text, str) and is_unicode(text)):
            raise InvalidInput("Not a valid string.", path=field)
        if text is not None and len(text) > MAX_TEXT:
            raise InvalidInput(
                f"Ensure this field has no more than {MAX_TEXT} characters.", path=field, code="max_length"
            )
    for field in ("favorited", "saved", "deleted"):
        if not isinstance(given.get(field, False), bool):
            raise InvalidInput("Must be a valid boolean.", path=field)
    dashboards = given.get("dashboards", ())
    if any(isinstance(one, bool) or not isinstance(one, int) for one in dashboards):
        raise InvalidInput("A dashboard is given by its id.", path="dashboards", code="incorrect_type")
    order = given.get("order")
    if order is not None and (isinstance(order, bool) or not isinstance(order, int)):
        raise InvalidInput("A valid integer is required.", path="order")
    if order is not None and order > MAX_ORDER:
        raise InvalidInput(f"Ensure this value is less than or equal to {MAX_ORDER}.", path="order", code="max_value")
    if order is not None and order < MIN_ORDER:
        raise InvalidInput(
            f"Ensure this value is greater than or equal to {MIN_ORDER}.", path="order", code="min_value"
        )
