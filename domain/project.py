"""Projects: the unit of isolation; insights and product events belong to exactly one."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import InvalidInput
from .events import DomainEvent, event

MAX_NAME = 200


@event("ProjectCreated")
class ProjectCreated(DomainEvent):
    """A project came into being; its capture token is kept beside the log, here only its SHA-256."""

    name: str
    timezone: str
    week_start_day: int
    token_sha256: str


def stream_of(project_id: int) -> str:
    """Return the name of a project's stream."""
    return f"project:{project_id}"


def create_project(name: str, timezone: str, token_sha256: str, *, week_start_day: int = 0) -> ProjectCreated:
    """Decide the creation of a project. Raises `InvalidInput` for an unknown zone, a bad name or week day."""
    if not name.strip() or len(name) > MAX_NAME:
        raise InvalidInput(f"A project's name has 1 to {MAX_NAME} characters.", path="name")
    if week_start_day not in {0, 1}:
        raise InvalidInput("The week starts on 0 (Sunday) or 1 (Monday).", path="week_start_day")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"{timezone!r} is no IANA time zone; use a name like Europe/Berlin.", path="timezone"
        ) from error
    return ProjectCreated(name=name, timezone=timezone, week_start_day=week_start_day, token_sha256=token_sha256)
