"""SHA-256 digests as users and files write them."""

from __future__ import annotations

import re
from typing import Any

from undoor.errors import UndoorError

DIGEST = re.compile("[0-9a-f]{64}")


def require_sha256(text: str, what: str) -> str:
    """Return a SHA-256 that a user gave, in lower case.

    Parameters
    ----------
    text
        64 hexadecimal digits, perhaps with spaces around them.
    what
        What the digest is of, for the message.

    Raises
    ------
    UndoorError
        It is no whole SHA-256; a part of one would be easier to forge and is refused.
    """
    digest = text.strip().lower()
    if not DIGEST.fullmatch(digest):
        raise UndoorError(
            f"{what}: expected all 64 hexadecimal digits of a SHA-256, got {text!r} "
            f"({len(text.strip())} characters)"
        )
    return digest


def digest_from_json(value: Any) -> str | None:
    """Return a SHA-256 from a JSON document, or None for null.

    Raises
    ------
    ValueError
        The value is something else.
    """
    if value is not None and (not isinstance(value, str) or not DIGEST.fullmatch(value)):
        raise ValueError(f"expected a SHA-256 of 64 hexadecimal digits, got {value!r}")
    return value
