"""A request that is refused: its HTTP status, and why."""

from __future__ import annotations

import math
from http import HTTPStatus


class Refusal(Exception):  # noqa: N818 - the fault is the request's
    """A request that gets no answer.

    Parameters
    ----------
    status
        4xx, or 503 where the same request may be answered later.
    message
        What was expected, what was found, what to do.
    retry_after
        Seconds after which to try again; None where that is no use.
    """

    def __init__(self, status: HTTPStatus, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """What the answer carries beside its body."""
        if self.retry_after is None:
            return {}
        return {"Retry-After": str(max(1, math.ceil(self.retry_after)))}


def bad_request(message: str) -> Refusal:
    """Return the refusal of a request that is not of the protocol."""
    return Refusal(HTTPStatus.BAD_REQUEST, message)


def too_large(message: str) -> Refusal:
    """Return the refusal of a request of which there is too much."""
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
