"""Secrets at rest: encrypted with the first key, readable with any, so that keys can rotate.

Fernet (AES-128-CBC with HMAC-SHA256) under keys derived by HKDF from what the operator set.
"""

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from schemas.errors import Blocked


class SecretBox:
    """Encrypts and decrypts small texts."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in keys])

    def encrypt(self, text: str) -> str:
        """Encrypt with the first key."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Decrypt with whichever key fits.

        Raises:
            Blocked: none does: the key it was encrypted with is gone from HUB_SECRET_KEYS.
        """
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise Blocked(
                "The stored credentials can't be read with the keys in HUB_SECRET_KEYS. "
                "Put the key they were saved with back into the list, or add the connection again.",
                code="secrets.key.missing",
            ) from None

    def rotate(self, token: str) -> str:
        """Encrypt again with the first key, keeping the text."""
        return self.encrypt(self.decrypt(token))


def _derive(key: SecretStr) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"stripe-bc-hub secrets v1")
    return base64.urlsafe_b64encode(hkdf.derive(key.get_secret_value().encode()))
