"""What an endpoint takes and answers, declared beside the code that does it.

`openapi.py` makes the document out of these declarations; tests hold them against what the code reads and answers.
A route is declared by `@operation(...)` on each of its responders; path, scopes and summary come from elsewhere (the
route, its scopes, the docstring).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import falcon
from attrs import frozen

Schema = Mapping[str, Any]
"""A JSON Schema, draft 2020-12; `schemas.ref(...)` names a shared one."""
Responder = TypeVar("Responder", bound=Callable[..., Any])


@frozen
class Parameter:
    """A parameter of the query string."""

    name: str
    schema: Schema
    does: str
    is_json_text: bool = False
    """Whether the value is JSON text of the schema; else it is the plain text of a scalar."""


@frozen(kw_only=True)
class Operation:
    """One method of one resource."""

    query: tuple[Parameter, ...] = ()
    body: Schema | None = None
    """Of the JSON body, None when none is read. An absent body counts as an empty object."""
    answers: Mapping[int, Schema | None]
    """Status -> what the answer holds, None for an empty one. Errors of the common shape go without saying."""
    media: str = falcon.MEDIA_JSON
    """Media type of the answers."""
    is_body_any: bool = False
    """Whether the body may be of any type: capture endpoints read what SDKs send."""


def operation(
    *,
    answer: Schema | None = None,
    status: int = 200,
    answers: Mapping[int, Schema | None] | None = None,
    query: tuple[Parameter, ...] = (),
    body: Schema | None = None,
    media: str = falcon.MEDIA_JSON,
    is_body_any: bool = False,
) -> Callable[[Responder], Responder]:
    """Declare a responder: what it answers with (`answer` under `status`, or `answers` for several), and reads."""
    declared = Operation(
        query=query,
        body=body,
        answers={status: answer} if answers is None else answers,
        media=media,
        is_body_any=is_body_any,
    )

    def declare(responder: Responder) -> Responder:
        responder.operation = declared  # type: ignore[attr-defined]
        return responder

    return declare


def declared(resource: object, method: str) -> Operation | None:
    """Return the declaration of a resource's method; None for one without."""
    found = getattr(getattr(resource, f"on_{method.lower()}", None), "operation", None)
    return found if isinstance(found, Operation) else None
