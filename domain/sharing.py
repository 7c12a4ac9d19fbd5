"""How an insight is shared: the configuration, its settings, passwords, and what a change to it means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve, frozen

from .errors import InvalidInput

FLAGS = ("whitelabel", "noHeader", "showInspector", "legend", "detailed", "hideExtraDetails")
THEMES = ("light", "dark", "system")
ROTATION_GRACE = timedelta(seconds=300)
"""How long a token works on after it was replaced."""
MIN_PASSWORD, MAX_PASSWORD, MAX_NOTE = 8, 1000, 100
MAX_PASSWORDS = 20
"""Active at once: a try is checked against each of them, which is slow on purpose."""


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
    """A password that opens a shared insight; its hash is a secret beside the log, under `ref`."""

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
        """Whether the shared insight can be seen at a moment."""
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


def sharing_after(before: Sharing | None, state: ShareState, at: datetime) -> Sharing:
    """Return the stored configuration after an event of that state."""
    return Sharing(at, state) if before is None else evolve(before, state=state)


def rotated(before: Sharing | None, token_sha256: str) -> ShareState:
    """Return the configuration with the token of the next rotation, whose SHA-256 is given; all else stays."""
    if before is None:
        return ShareState(enabled=False, settings=None, password_required=False, rotation=1, token_sha256=token_sha256)
    return evolve(before.state, rotation=before.state.rotation + 1, token_sha256=token_sha256)


def clean_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the known settings that are not null (insights-api.md 3.3.2). Raises `InvalidInput` for wrong types."""
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
