"""Secrets at rest: sealed with a key that is not in the database."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headrace.errors import HeadraceError, InvalidInput, InvalidSettings, Problem

_SHORTEST: Final = 32
_HINT = "set HEADRACE_SECRET_KEY, for example to what `openssl rand -hex 32` prints"


class CannotUnseal(HeadraceError):
    """A secret was sealed with a key that HEADRACE_SECRET_KEY no longer names."""

    code = "CannotUnseal"


class Seal:
    """Seals with the first of the keys, and opens what any of them has sealed."""

    def __init__(self, keys: str) -> None:
        """keys: texts of at least 32 characters each, comma separated. Raises InvalidSettings.

        None at all is allowed, as long as there is nothing to seal.
        """
        texts = [text.strip() for text in keys.split(",") if text.strip()]
        if any(len(text) < _SHORTEST for text in texts):
            raise InvalidSettings(f"HEADRACE_SECRET_KEY: a key needs at least {_SHORTEST} characters")
        self._fernet = MultiFernet([_fernet(text) for text in texts]) if texts else None

    def seal(self, secret: str) -> bytes:
        """Raises InvalidInput when there is no key."""
        if self._fernet is None:
            raise InvalidInput(
                "Secrets cannot be kept here", [Problem("secret", "there is no key to seal it with", _HINT)]
            )
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """Raises CannotUnseal."""
        if self._fernet is None:
            raise CannotUnseal
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise CannotUnseal from error


def _fernet(text: str) -> Fernet:
    """HKDF, not a slow hash: the key is drawn at random, not thought of."""
    derived = HKDF(SHA256(), length=32, salt=None, info=b"headrace secrets").derive(text.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
