"""Projects: the unit of isolation; insights and product events belong to exactly one."""

from __future__ import annotations

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import Factory

from .errors import InvalidInput
from .events import UPCASTERS, DomainEvent, event
from .groups import MAX_GROUP_TYPES
from .insight_commands import is_unicode
from .organization import DEFAULT_ORGANIZATION

MAX_NAME = 200
GROUP_TYPE_NAMES = "group_type_names"
"""What types of groups are called: `{"0": {"name_singular": "company", "name_plural": "companies"}}`."""
SETTINGS = (
    "name", "timezone", "week_start_day", "test_account_filters", "path_cleaning_filters",
    "aggregate_users_by_distinct_id", "human_friendly_comparison_periods", "base_currency", GROUP_TYPE_NAMES,
)  # fmt: skip
"""What may be set for a project; all of it but the names can change results (queries.md 1.4)."""


@event("ProjectCreated", schema=2)
class ProjectCreated(DomainEvent):
    """A project came into being; its capture token is kept beside the log, here only its SHA-256."""

    name: str
    timezone: str
    week_start_day: int
    token_sha256: str
    uuid: str
    organization_id: int


def _with_organization(data: dict[str, Any]) -> dict[str, Any]:
    """Bring schema 1 up: everything was in the default organisation, and there were no uuids."""
    uuid = str(UUID(hex=data["token_sha256"][:32], version=4))
    return {**data, "uuid": uuid, "organization_id": DEFAULT_ORGANIZATION}


UPCASTERS["ProjectCreated", 1] = _with_organization


@event("ProjectSettingsChanged")
class ProjectSettingsChanged(DomainEvent):
    """Settings changed; `settings` holds those that did, by name, with their new values."""

    settings: Any = Factory(dict)


@event("ProjectAccessGranted")
class ProjectAccessGranted(DomainEvent):
    """A member, a role's members, or everyone has a level on a whole kind of thing in the project.

    `resource` is `project` (levels none, member, admin), or `insight` (levels of insights) for all insights at once.
    """

    resource: str
    level: str
    member: int | None = None
    role: int | None = None


@event("ProjectAccessRevoked")
class ProjectAccessRevoked(DomainEvent):
    """The rule for a member, a role or everyone is gone."""

    resource: str
    member: int | None = None
    role: int | None = None


def stream_of(project_id: int) -> str:
    """Return the name of a project's stream."""
    return f"project:{project_id}"


def create_project(
    name: str, timezone: str, token_sha256: str, *, uuid: str, organization_id: int, week_start_day: int = 0
) -> ProjectCreated:
    """Decide the creation of a project. Raises `InvalidInput` for an unknown zone, a bad name or week day."""
    check_settings({"name": name, "timezone": timezone, "week_start_day": week_start_day})
    return ProjectCreated(
        name=name,
        timezone=timezone,
        week_start_day=week_start_day,
        token_sha256=token_sha256,
        uuid=uuid,
        organization_id=organization_id,
    )


def check_settings(settings: dict[str, Any]) -> None:
    """Raise `InvalidInput` for a setting that does not exist or may not have its value."""
    for setting in settings:
        if setting not in SETTINGS:
            raise InvalidInput(f"{setting!r} is no setting of a project.", path=setting)
    name = settings.get("name", "x")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not is_unicode(name):
        raise InvalidInput(f"A project's name has 1 to {MAX_NAME} characters.", path="name")
    if settings.get("week_start_day", 0) not in {0, 1}:
        raise InvalidInput("The week starts on 0 (Sunday) or 1 (Monday).", path="week_start_day")
    for lists in ("test_account_filters", "path_cleaning_filters"):
        value = settings.get(lists, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise InvalidInput("This is a list of JSON objects.", path=lists)
    _check_group_types(settings.get(GROUP_TYPE_NAMES, {}))
    for flag in ("aggregate_users_by_distinct_id", "human_friendly_comparison_periods"):
        if not isinstance(settings.get(flag, False), bool):
            raise InvalidInput("Must be a valid boolean.", path=flag)
    currency = settings.get("base_currency", "USD")
    if not isinstance(currency, str) or not (len(currency) == 3 and currency.isalpha() and currency.isupper()):
        raise InvalidInput("A currency has three capital letters, as in USD.", path="base_currency")
    zone = settings.get("timezone", "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise InvalidInput(f"{zone!r} is no IANA time zone; use a name like Europe/Berlin.", path="timezone") from error


def _check_group_types(names: Any) -> None:
    places = {str(index) for index in range(MAX_GROUP_TYPES)}
    if not isinstance(names, dict) or not places.issuperset(names):
        raise InvalidInput("This is an object by the index of the type, 0 to 4.", path=GROUP_TYPE_NAMES)
    for index, given in names.items():
        for name, value in given.items() if isinstance(given, dict) else ((index, given),):
            if name not in ("name_singular", "name_plural"):
                raise InvalidInput(
                    "A group type has name_singular and name_plural.", path=f"{GROUP_TYPE_NAMES}.{index}"
                )
            if value is not None and not (isinstance(value, str) and is_unicode(value) and len(value) <= MAX_NAME):
                raise InvalidInput(f"A name has up to {MAX_NAME} characters.", path=name)
