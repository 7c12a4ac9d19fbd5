"""How an insight is shared: the configuration, its settings and what a change to it means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from .errors import InvalidInput

FLAGS = ("whitelabel", "noHeader", "showInspector", "legend", "detailed", "hideExtraDetails")
THEMES = ("light", "dark", "system")


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


@frozen
class Sharing:
    """A configuration that is stored, with the instant of its first change."""

    created_at: datetime
    state: ShareState


@frozen
class SharePatch:
    """What a caller wants to change; None leaves a field as it is."""

    enabled: bool | None = None
    settings: Mapping[str, Any] | None = None
    clear_settings: bool = False
    password_required: bool | None = None

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
        return ShareState(
            enabled=old.enabled if self.enabled is None else self.enabled,
            settings=settings,
            password_required=old.password_required if self.password_required is None else self.password_required,
            rotation=old.rotation,
            token_sha256=old.token_sha256,
        )


def sharing_after(before: Sharing | None, state: ShareState, at: datetime) -> Sharing:
    """Return the stored configuration after an event of that state."""
    return Sharing(before.created_at if before else at, state)


def clean_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the known settings that are not null (insights-api.md 3.3.2). Raises `InvalidInput` for wrong types."""
    kept = {key: settings[key] for key in (*FLAGS, "theme") if settings.get(key) is not None}
    wrong = [key for key in FLAGS if key in kept and not isinstance(kept[key], bool)]
    if wrong or kept.get("theme", "light") not in THEMES:
        raise InvalidInput("Invalid settings format", path="settings")
    return kept
