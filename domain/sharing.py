"""How something is shared with visitors: configuration, settings, passwords, and what may be done to them.

What can be shared (insights, dashboards) has events of its own names, with the fields that are given here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from attrs import evolve, frozen

from .errors import InvalidInput, NotFound, PasswordsOff
from .events import DomainEvent, Record, event_fields

FLAGS = ("whitelabel", "noHeader", "showInspector", "legend", "detailed", "hideExtraDetails")
THEMES = ("light", "dark", "system")
ROTATION_GRACE = timedelta(seconds=300)
"""How long a token works on after it was replaced."""
MIN_PASSWORD, MAX_PASSWORD, MAX_NOTE = 8, 1000, 100
MAX_PASSWORDS = 20
"""Active at once: a try is checked against each of them, which is slow on purpose."""


@frozen
class Resource:
    """Something that can be shared, by what it is and its id."""

    type: Literal["insight", "dashboard"]
    id: int


@frozen
class ShareState:
    """What an event says about sharing: the whole configuration after it, the token only as its SHA-256."""

    enabled: bool
    settings: Any
    """Known settings as a JSON object, or None."""
    password_required: bool
    rotation: int
    """How often the token was renewed; the token itself is derived from it and a secret of the folder."""
    token_sha256: str
    expires_at: str | None = None
    """ISO 8601 with offset; the share is closed from then on. None: it stays open."""


@frozen
class SharePassword:
    """A password that opens a share; its hash is a secret beside the log, under `ref`."""

    id: int
    ref: str
    note: str
    created_by: int | None
    created_at: datetime


@frozen
class Sharing:
    """A configuration that is stored, with the instant of its first change and the passwords that open it."""

    created_at: datetime
    state: ShareState
    passwords: tuple[SharePassword, ...] = ()

    def is_open_at(self, now: datetime) -> bool:
        """Whether the share can be seen at a moment."""
        expires = self.state.expires_at
        return self.state.enabled and (expires is None or now < datetime.fromisoformat(expires))


@frozen
class SharePatch:
    """What a caller wants to change; None leaves a field as it is."""

    enabled: bool | None = None
    settings: Mapping[str, Any] | None = None
    clear_settings: bool = False
    password_required: bool | None = None
    expires_at: str | None = None
    clear_expiry: bool = False

    def applied_to(self, before: Sharing | None, token_sha256: str) -> ShareState:
        """Return the configuration after this change; `token_sha256` is for a first one.

        Raises `InvalidInput` for a setting of the wrong type.
        """
        for field in ("enabled", "password_required"):
            if not isinstance(getattr(self, field), bool | None):
                raise InvalidInput("Must be a valid boolean.", path=field)
        old = (
            before.state
            if before
            else ShareState(
                enabled=False, settings=None, password_required=False, rotation=0, token_sha256=token_sha256
            )
        )
        settings = None if self.clear_settings else old.settings
        if self.settings is not None:
            settings = clean_settings(self.settings)
        expires_at = None if self.clear_expiry else old.expires_at
        if self.expires_at is not None:
            expires_at = _instant_text(self.expires_at)
        return evolve(
            old,
            enabled=old.enabled if self.enabled is None else self.enabled,
            settings=settings,
            password_required=old.password_required if self.password_required is None else self.password_required,
            expires_at=expires_at,
        )


# -- events ----------------------------------------------------------------------------------------------------------


@event_fields
class SharingSet(DomainEvent):
    """The configuration was switched, changed, or got another token; everything is given as it is now."""

    sharing: ShareState


@event_fields
class SharePasswordAdded(DomainEvent):
    """May be seen by those who know one more password; its hash is kept beside the log, under `ref`."""

    ref: str
    note: str


@event_fields
class SharePasswordRemoved(DomainEvent):
    """A password opens the share no more."""

    password_id: int


@event_fields
class ShareLoginAttempted(DomainEvent):
    """Somebody tried a password on the share."""

    token_suffix: str
    client_ip: str
    success: bool
    password_id: int | None
    password_note: str | None


@frozen
class ShareEvents:
    """The events that tell of the sharing of one type of resource."""

    shared: Callable[[ShareState], DomainEvent]
    unshared: Callable[[ShareState], DomainEvent]
    rotated: Callable[[ShareState], DomainEvent]
    password_added: Callable[[str, str], DomainEvent]
    password_removed: Callable[[int], DomainEvent]


def sharing_after(before: Sharing | None, record: Record) -> Sharing | None:
    """Return the stored configuration after a record; one that is not about sharing leaves it as it is."""
    match record.event:
        case SharingSet(sharing=state):
            return Sharing(record.at, state) if before is None else evolve(before, state=state)
        case SharePasswordAdded(ref=ref, note=note) if before is not None:
            added = SharePassword(record.position, ref, note, record.by.user_id, record.at)
            return evolve(before, passwords=(*before.passwords, added))
        case SharePasswordRemoved(password_id=password_id) if before is not None:
            return evolve(before, passwords=tuple(one for one in before.passwords if one.id != password_id))
    return before


# -- commands --------------------------------------------------------------------------------------------------------


@frozen
class ConfigureSharing:
    """The wish to switch sharing or to change how it looks; `token_sha256` is used when there is no token yet."""

    patch: SharePatch
    token_sha256: str


@frozen
class RotateShareToken:
    """The wish for another share token, whose SHA-256 `token_sha256` gives for the number of a rotation."""

    token_sha256: Callable[[int], str]


@frozen
class AddSharePassword:
    """The wish for one more password, whose hash is kept under `ref`."""

    ref: str
    note: str = ""


@frozen
class RemoveSharePassword:
    """The wish that a password opens the share no more."""

    password_id: int


ShareCommand = ConfigureSharing | RotateShareToken | AddSharePassword | RemoveSharePassword


def decide_sharing(before: Sharing | None, command: ShareCommand, events: ShareEvents) -> tuple[DomainEvent, ...]:
    """Return the event that a command leads to.

    Raises `InvalidInput`, `PasswordsOff` while no password is asked for, `NotFound` for an unknown password.
    """
    if isinstance(command, ConfigureSharing):
        after = command.patch.applied_to(before, command.token_sha256)
        return (events.shared(after) if after.enabled else events.unshared(after),)
    if isinstance(command, RotateShareToken):
        rotation = before.state.rotation + 1 if before else 1
        return (events.rotated(_rotated(before, command.token_sha256(rotation))),)
    passwords = before.passwords if before else ()
    if isinstance(command, AddSharePassword):
        if before is None or not before.state.password_required:
            raise PasswordsOff("Password protection must be enabled before creating passwords")
        if len(passwords) >= MAX_PASSWORDS:
            raise InvalidInput(f"A share has {MAX_PASSWORDS} passwords at the most; remove one first.", path="note")
        return (events.password_added(command.ref, command.note),)
    if not any(one.id == command.password_id for one in passwords):
        raise NotFound("Password")
    return (events.password_removed(command.password_id),)


def _rotated(before: Sharing | None, token_sha256: str) -> ShareState:
    """Return the configuration with the token of the next rotation, whose SHA-256 is given; all else stays."""
    if before is None:
        return ShareState(enabled=False, settings=None, password_required=False, rotation=1, token_sha256=token_sha256)
    return evolve(before.state, rotation=before.state.rotation + 1, token_sha256=token_sha256)


def clean_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the known settings that are not null (insights-api.md 3.3.2). Raises `InvalidInput` for wrong types."""
    if not isinstance(settings, Mapping):
        raise InvalidInput("Invalid settings format", path="settings")
    kept = {key: settings[key] for key in (*FLAGS, "theme") if settings.get(key) is not None}
    wrong = [key for key in FLAGS if key in kept and not isinstance(kept[key], bool)]
    if wrong or kept.get("theme", "light") not in THEMES:
        raise InvalidInput("Invalid settings format", path="settings")
    return kept


def check_password(raw: object, note: object) -> tuple[str, str]:
    """Return a password and its note. Raises `InvalidInput` for one that is too short or too long."""
    if not isinstance(raw, str) or not 0 < len(raw) <= MAX_PASSWORD:
        raise InvalidInput(f"A password is a text of {MIN_PASSWORD} to {MAX_PASSWORD} characters.", path="raw_password")
    if len(raw) < MIN_PASSWORD:
        raise InvalidInput(f"Password must be at least {MIN_PASSWORD} characters long.", path="raw_password")
    if not isinstance(note, str):
        raise InvalidInput("Not a valid string.", path="note")
    if len(note) > MAX_NOTE:
        raise InvalidInput(f"Ensure this field has no more than {MAX_NOTE} characters.", path="note", code="max_length")
    return raw, note


def _instant_text(text: object) -> str:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidInput("An expiry is an ISO 8601 instant with an offset.", path="expires_at")
    return at.isoformat()
