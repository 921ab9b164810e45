"""HTTP as uvicorn reads it, with a bound on the time and the size of a request's head."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose next request does not arrive, so that none are held for nothing.

    `uvicorn` bounds the time between two requests, not that within a head. A body has a bound of
    its own, in `undoor.serve.gate`.
    """

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data, unless a head gets too large."""
        while data and not self.transport.is_closing():
            room = MAX_HEAD_BYTES - self._head_bytes
            if room == 0:
                self.send_400_response("The head of the request is too large.")
                return
            piece, data = data[:room], data[room:]
            if self._in_head:
                self._head_bytes += len(piece)
            super().data_received(piece)

    def on_message_begin(self) -> None:
        """Begin to wait for a head, of which the first byte is here."""
        super().on_message_begin()
        if self._timer is None:
            self._begin_head()

    def on_headers_complete(self) -> None:
        """Stop to wait: the head is here."""
        self._in_head = False
        self._head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count what comes next as a head; it need not come."""
        super().on_message_complete()
        self._in_head = True

    def _begin_head(self) -> None:
        self._in_head = True
        self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
