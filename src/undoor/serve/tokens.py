"""Bearer tokens from a file, compared in a time that does not depend on them."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from undoor.errors import UndoorError
from undoor.files import why

MIN_LENGTH = 16
MAX_BYTES = 2**20
SCHEME = "bearer "


class Tokens:
    """The tokens that a service accepts; of each, a hash alone is kept."""

    def __init__(self, tokens: list[str]) -> None:
        self._hashes = [_hashed(token) for token in tokens]

    @staticmethod
    def read(file: Path) -> Tokens:
        """Read a file with one token per line; empty lines and those that begin with # are skipped.

        Raises
        ------
        UndoorError
            It cannot be read, holds no token, or a token that could be guessed or is not ASCII.
        """
        try:
            if file.stat().st_size > MAX_BYTES:
                raise UndoorError(f"{file}: expected a file of tokens, got more than 1 MiB")
            lines = file.read_text("utf-8").splitlines()
        except OSError as error:
            raise UndoorError(f"{file}: {why(error)}; expected one token per line") from error
        except UnicodeDecodeError:
            raise UndoorError(f"{file}: expected one token per line, got no text") from None
        tokens = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not tokens:
            raise UndoorError(f"{file}: expected at least one token, got none; write one per line")
        for number, token in enumerate(tokens, 1):
            if len(token) < MIN_LENGTH or not token.isascii() or not token.isprintable():
                raise UndoorError(
                    f"{file}: token {number}: expected at least {MIN_LENGTH} characters of ASCII, "
                    f"got {len(token)}; make one with: python -c 'import secrets; "
                    "print(secrets.token_urlsafe())'"
                )
        return Tokens(tokens)

    def accept(self, authorization: str | None) -> bool:
        """Return whether the value of an ``Authorization`` header holds one of the tokens."""
        given = authorization or ""
        is_bearer = given[: len(SCHEME)].lower() == SCHEME
        found = _hashed(given[len(SCHEME) :].strip())
        # Every token is compared, whichever fits.
        fits = [hmac.compare_digest(found, known) for known in self._hashes]
        return is_bearer and any(fits)


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
