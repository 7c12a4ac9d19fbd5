"""The errors that insightlog raises; what they mean to HTTP is the HTTP adapter's business."""

from __future__ import annotations

from typing import Any


class InsightlogError(Exception):
    """Anything that insightlog refuses; the message is a sentence for people. Can be pickled, as worker pools do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def sentence(error: InsightlogError) -> str:
    """Return what an error says, without the place where the fault is."""
    return error.detail if isinstance(error, InvalidInput) else str(error)


def _restored(kind: type[InsightlogError], args: tuple[Any, ...], state: dict[str, Any]) -> InsightlogError:
    """Return an error as it was, without making its message anew."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class NotFound(InsightlogError):
    """A thing that was asked for does not exist, is deleted, or belongs to another project."""

    def __init__(self, what: str, ref: object = None) -> None:
        super().__init__(f"{what} {ref} does not exist." if ref is not None else f"{what} not found.")
        self.what = what
        self.ref = ref


class VersionConflict(InsightlogError):
    """Somebody else appended to the same stream first; load again and decide again."""

    def __init__(self, stream: str, expected: int) -> None:
        super().__init__(f"Stream {stream} has moved on from version {expected}. Try again.")
        self.stream = stream
        self.expected = expected


class Outdated(InsightlogError):
    """A change was meant for a version that is not the current one any more; nothing was changed."""

    def __init__(self, version: int) -> None:
        super().__init__(f"The insight has moved on: it is at version {version} now.")
        self.version = version


class InvalidInput(InsightlogError):
    """A value that a command or a request may not carry.

    `detail` is the sentence; `path` names the wrong field, as in `name` or `filters.events`; `code` is the contract's
    short machine word (`max_length`, `null`, `invalid_input` ...).
    """

    def __init__(self, detail: str, *, path: str | None = None, code: str = "invalid_input") -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path
        self.code = code

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}" if self.path and self.path not in self.detail else self.detail


class PasswordsOff(InsightlogError):
    """A share password was to be made for a share that asks for none."""


class InvalidQuery(InvalidInput):
    """A query node or legacy filter that does not fit its schema; `path` is like `query.series[0].math`."""


class UnsupportedQuery(InvalidQuery):
    """A well-formed query that cannot be answered exactly yet, and is therefore not answered at all."""


class UncalculatedKind(UnsupportedQuery):
    """A query of a kind that insights may hold and nothing here calculates."""


class QueryTooLarge(InvalidQuery):
    """A query that passes a bound: too many buckets, too long a run, too much memory."""


class QueryCancelled(InsightlogError):
    """A calculation that somebody ended before it was done."""

    def __init__(self) -> None:
        super().__init__("The query was cancelled.")


class TooManyQueries(InsightlogError):
    """A query that was not begun, because as many are under way or waiting as may be; try again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("concurrency_limit_exceeded")
        self.retry_after_s = retry_after_s


class PermissionDenied(InsightlogError):
    """The caller is known but may not do this."""


class AuthenticationFailed(InsightlogError):
    """The caller's credentials are missing or wrong."""

    def __init__(self, detail: str, *, code: str = "authentication_failed") -> None:
        super().__init__(detail)
        self.code = code


class StoreUnavailable(InsightlogError):
    """A store cannot take writes now (disk full, locked by another process); nothing was written."""


class CorruptLog(InsightlogError):
    """A stored event does not carry the checksum that its content has, or a whole file (version 0) cannot be read."""

    def __init__(self, reason: str, *, stream: str, version: int, position: int | None = None) -> None:
        where = f"position {position}, " if position is not None else ""
        place = f"The log is damaged at {where}stream {stream} version {version}" if version else f"{stream} is damaged"
        super().__init__(f"{place}: {reason}")
        self.reason = reason
        self.stream = stream
        self.version = version
        self.position = position
