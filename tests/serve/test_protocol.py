"""The bound on the head of a request, whatever pieces it arrives in."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import MagicMock

import pytest
import uvicorn
from uvicorn.server import ServerState

from undoor.serve.protocol import MAX_HEAD_BYTES, BoundedProtocol


def asked(*pieces: bytes) -> tuple[list[str], bytes]:
    """The paths that reach the application, and what is written by the protocol itself."""
    paths: list[str] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def arrive() -> bytes:
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
        protocol = BoundedProtocol(config, ServerState(), {})
        transport = MagicMock()
        transport.is_closing.return_value = False
        transport.close.side_effect = lambda: setattr(transport.is_closing, "return_value", True)
        transport.get_extra_info.return_value = None
        protocol.connection_made(transport)
        for piece in pieces:
            protocol.data_received(piece)
            await asyncio.sleep(0.01)
        protocol.connection_lost(None)
        return b"".join(call.args[0] for call in transport.write.call_args_list)

    return paths, asyncio.run(arrive())


def head(path: str, size: int) -> bytes:
    start, end = f"GET {path} HTTP/1.1\r\nHost: x\r\nA: ".encode(), b"\r\n\r\n"
    return start + b"a" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("before", [b"", head("/before", 50)])
def test_a_head_that_is_too_large(before: bytes) -> None:
    """It does not reach the application, although it arrives at once."""
    paths, written = asked(*([before] if before else []), head("/large", MAX_HEAD_BYTES + 1))
    assert "/large" not in paths
    assert b"HTTP/1.1 400 " in written


def test_heads_that_are_not() -> None:
    body = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"b" * 200_000
    whole = head("/whole", MAX_HEAD_BYTES)
    parts = [whole[start : start + 9999] for start in range(0, len(whole), 9999)]
    paths, written = asked(whole, *parts, body, head("/last", MAX_HEAD_BYTES))
    assert paths == ["/whole", "/whole", "/body", "/last"]
    assert b" 400 " not in written
