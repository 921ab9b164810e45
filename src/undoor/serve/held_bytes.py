"""The bytes of what is under way, with a bound on all of it together."""

from __future__ import annotations

from http import HTTPStatus

from undoor.serve.refusal import Refusal

RETRY_SECONDS = 1.0


class HeldBytes:
    """Counts bytes, and refuses those for which there is no room.

    Parameters
    ----------
    what
        What they are of, in the plural, for messages.
    limit
        How many may be under way.
    """

    def __init__(self, what: str, limit: int) -> None:
        self._what, self._limit, self._held = what, limit, 0

    def hold(self, size: int) -> None:
        """Count bytes.

        Raises
        ------
        Refusal
            There is no room for them.
        """
        if self._held + size > self._limit:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"the {self._what} under way take {self._held} bytes already, at most "
                f"{self._limit} may; try again later",
                RETRY_SECONDS,
            )
        self._held += size

    def release(self, size: int) -> None:
        """Count bytes no longer."""
        self._held -= size
