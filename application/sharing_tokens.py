"""Share tokens: derived from a secret of the folder, so that they can be shown again yet are stored nowhere."""

from __future__ import annotations

import base64
import hmac
import secrets
from hashlib import sha256

from ..domain.sharing import Sharing

TOKEN_BYTES = 22


class ShareTokens:
    """Derives the tokens of one folder."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, insight_id: int, sharing: Sharing | None) -> str:
        """Return the current token; a fresh random one as long as nothing is stored (insights-api.md 3.3.1)."""
        if sharing is None:
            return secrets.token_urlsafe(TOKEN_BYTES)
        return self._derive(insight_id, sharing.state.rotation)

    def hash_of_first(self, insight_id: int) -> str:
        """Return the SHA-256 of the first token that an insight will have, in hexadecimal."""
        return sha256(self._derive(insight_id, 0).encode()).hexdigest()

    def _derive(self, insight_id: int, rotation: int) -> str:
        digest = hmac.new(self._secret, f"share:{insight_id}:{rotation}".encode(), sha256).digest()
        return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).rstrip(b"=").decode()
