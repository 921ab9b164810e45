"""What one request, and all of them together, may take."""

from __future__ import annotations

from dataclasses import dataclass, fields

from undoor.errors import UsageError

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits of a service, for each of its workers.

    Attributes
    ----------
    body
        Bytes of the body of one request.
    bodies
        Bytes of the bodies of all requests that are under way, and of their inputs.
    pixels
        Of one picture, before it is resized.
    batch
        Inputs that go through the network at a time, and of one request.
    delay
        Seconds that an input waits for others to join its batch.
    queue
        Inputs that wait or are computed; further ones are refused.
    seconds
        That a request may take to arrive, and to be answered once it has.
    """

    body: int = 16 * MIB
    bodies: int = 256 * MIB
    pixels: int = 16_000_000
    batch: int = 32
    delay: float = 0.002
    queue: int = 256
    seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            lowest = 0 if field.name == "delay" else 1e-3
            if not lowest <= value < float("inf"):
                raise UsageError(
                    f"expected a limit of {field.name} above 0, got {value}; give a larger number"
                )
        if self.queue < self.batch:
            raise UsageError(
                f"expected a queue of at least one batch of {self.batch} inputs, got {self.queue}; "
                "give a longer queue or a smaller batch"
            )
        if self.bodies < self.body:
            raise UsageError(
                f"expected room for at least one body of {self.body} bytes, got {self.bodies}"
            )
