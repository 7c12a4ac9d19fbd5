"""Secrets of shares: tokens, passwords, and what a visitor gets for a right password."""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from ..domain.sharing import Resource, SharePassword, Sharing
from .ports import EventStore

if TYPE_CHECKING:
    from argon2 import PasswordHasher

TOKEN_BYTES = 22
VISIT = timedelta(hours=24)
AUDIENCE = "insightlog:share"
TYPES: tuple[Literal["insight", "dashboard"], ...] = ("insight", "dashboard")
AT_ONCE = 2
"""How many passwords are hashed at a time: each takes 19 MB and 30 ms."""


class ShareTokens:
    """Derives the tokens of one folder from its secret, so that they can be shown again yet are stored nowhere."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, resource: Resource, sharing: Sharing | None) -> str:
        """Return the current token; a fresh random one as long as nothing is stored (insights-api.md 3.3.1)."""
        if sharing is None:
            return secrets.token_urlsafe(TOKEN_BYTES)
        return self._derive(resource, sharing.state.rotation)

    def hash_of(self, resource: Resource, rotation: int) -> str:
        """Return the SHA-256 of a resource's token of a rotation, in hexadecimal."""
        return sha256(self._derive(resource, rotation).encode()).hexdigest()

    def visit(self, resource: Resource, sharing: Sharing, password: SharePassword, now: datetime) -> str:
        """Return what a visitor who knew a password shows for a day: a signed token (JWT, RFC 7519)."""
        claims = {
            "aud": AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int((now + VISIT).timestamp()),
            resource.type: resource.id,
            "rotation": sharing.state.rotation,
            "password": password.id,
        }
        import jwt  # noqa: PLC0415 PERF: most servers never need it, and it takes 17 ms of their start

        return jwt.encode(claims, self._visit_key(), algorithm="HS256")

    def visited(self, token: str, now: datetime) -> tuple[Resource, int, int] | None:
        """Return the resource, rotation and password of a visitor's token; None for one that is none or too old."""
        import jwt  # noqa: PLC0415 PERF: as above

        try:
            claims = jwt.decode(
                token,
                self._visit_key(),
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"verify_exp": False, "verify_iat": False, "require": ["exp"]},
            )
            if claims["exp"] < now.timestamp():
                return None
            resource = next(Resource(kind, claims[kind]) for kind in TYPES if kind in claims)
            return resource, claims["rotation"], claims["password"]
        except (jwt.InvalidTokenError, KeyError, TypeError, StopIteration):
            return None

    def _visit_key(self) -> bytes:
        return hmac.new(self._secret, b"visits", sha256).digest()

    def _derive(self, resource: Resource, rotation: int) -> str:
        # Insights were the first: theirs are named without their type.
        name = resource.id if resource.type == "insight" else f"{resource.type}:{resource.id}"
        digest = hmac.new(self._secret, f"share:{name}:{rotation}".encode(), sha256).digest()
        return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).rstrip(b"=").decode()


class SharePasswords:
    """Hashes and checks the passwords of shares (argon2id, 19 MiB, 2 passes: OWASP's first choice)."""

    _slots = threading.BoundedSemaphore(AT_ONCE)

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def secret_of(self, ref: str, raw: str) -> Mapping[str, str]:
        """Return the secret to keep for a password: its hash by the name of its `ref`."""
        with self._slots:
            return {_name(ref): _hasher().hash(raw)}

    def match(self, raw: str, passwords: Iterable[SharePassword]) -> SharePassword | None:
        """Return the password that this is, None when it is none. Cost: one slow hash for each password."""
        from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415 start-up time

        for one in passwords:
            kept = self._store.secret(_name(one.ref))
            if kept is None:
                continue
            try:
                with self._slots:
                    _hasher().verify(kept, raw)
            except (Argon2Error, InvalidHashError):
                continue
            return one
        return None


def _name(ref: str) -> str:
    return f"share-password:{ref}"


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 start-up time

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
