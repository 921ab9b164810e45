"""What every request passes first: tokens, limits of size and time; and what every answer carries.

Plain ASGI, so that a body is refused while it arrives.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from undoor.serve.held_bytes import HeldBytes
from undoor.serve.limits import Limits
from undoor.serve.metrics import Metrics
from undoor.serve.refusal import Refusal, bad_request, too_large
from undoor.serve.tokens import Tokens

log = logging.getLogger("undoor.serve.access")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What says nothing about the model or its inputs, and is needed before a token can be given.
OPEN = (
    "/v2/health/live",
    "/v2/health/ready",
    "/",
    "/fleet",
    "/docs",
    "/openapi.json",
    "/favicon.ico",
)
OPEN_FOLDERS = ("/page/", "/static-offline-docs/")
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
# The page of the API is that of a library, with a script of its own within.
OF_DOCS = STRICT.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)
# Reports carry their style and pictures within; they run and load nothing.
OF_REPORTS = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
REPORTS = "/fleet/reports/"
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
UNMATCHED = "unmatched"
HEAD = "HEAD"
# The ends of paths whose requests take the network's time.
INFERENCE = ("/infer", "/classify")


class Gate:
    """An ASGI application in front of another one."""

    def __init__(
        self,
        app: App,
        limits: Limits,
        metrics: Metrics,
        tokens: Tokens | None,
        require_room: Callable[[], None],
        *,
        access_log: bool = False,
    ) -> None:
        self._app, self._limits, self._metrics, self._tokens = app, limits, metrics, tokens
        self._require_room = require_room
        self._access_log = access_log
        self._held = HeldBytes("bodies", limits.bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        # HEAD is answered as GET; what of an answer is sent is up to `_Answer`.
        asked = {**scope, "method": "GET"} if scope["method"] == HEAD else scope
        body = _Body(self, receive, _header(scope, b"content-length"), _has_body(scope))
        answer = _Answer(scope, send, body)
        try:
            self._require_allowed(scope)
            body.require_announced()
            if scope["method"] == "POST" and scope["path"].endswith(INFERENCE):
                # In an overload, refusals must cost less than answers.
                await body.drop_unless(self._require_room)
            await self._app(asked, body.receive, answer.send)
        except Refusal as error:
            await answer.refuse(error)
        except Exception:
            log.exception("a request failed", extra={"path": scope["path"][:200]})
            await answer.refuse(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"))
        finally:
            self._held.release(body.size)
            route = getattr(asked.get("route"), "path", UNMATCHED)
            self._note(scope, route, answer.status, time.perf_counter() - started)

    @property
    def held(self) -> HeldBytes:
        """The bytes of the bodies that are under way."""
        return self._held

    @property
    def limits(self) -> Limits:
        """Of the service."""
        return self._limits

    def _require_allowed(self, scope: Scope) -> None:
        # A page of another site may send requests from a browser, but not with this header changed.
        path = scope["path"]
        if _header(scope, b"sec-fetch-site") == "cross-site" and path not in OPEN:
            raise Refusal(HTTPStatus.FORBIDDEN, "requests from pages of other sites are refused")
        if self._tokens is None or path in OPEN or path.startswith(OPEN_FOLDERS):
            return
        if not self._tokens.accept(_header(scope, b"authorization")):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "expected the header 'Authorization: Bearer TOKEN' with a token of this service",
            )

    def _note(self, scope: Scope, route: str, status: int, seconds: float) -> None:
        self._metrics.requests.labels(route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if self._access_log:
            client = (scope.get("client") or ("",))[0]
            extra = {"method": scope["method"], "route": route, "status": status}
            log.info("request", extra={**extra, "ms": round(1000 * seconds, 2), "client": client})


class _Body:
    """The body of one request, as far as it has arrived."""

    def __init__(self, gate: Gate, receive: Receive, announced: str | None, has_body: bool) -> None:
        self._gate, self._receive, self._announced = gate, receive, announced
        self._deadline = asyncio.get_running_loop().time() + gate.limits.seconds
        self.complete = not has_body
        self.size = 0

    def require_announced(self) -> None:
        """Refuse a body by the length that its head announces."""
        if self._announced is None:
            return
        if not (self._announced.isascii() and self._announced.isdigit()):
            raise bad_request("Content-Length: expected a number of bytes")
        if len(self._announced) > 18 or int(self._announced) > self._gate.limits.body:
            raise self._too_large()

    async def receive(self) -> Message:
        """Return the next message; refuse what is too large or arrives too slowly."""
        if self.complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise Refusal(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the body did not arrive within {self._gate.limits.seconds:g} s",
            ) from None
        if message["type"] == "http.request":
            more = len(message.get("body", b""))
            if self.size + more > self._gate.limits.body:
                raise self._too_large()
            self._gate.held.hold(more)
            self.size += more
            self.complete = not message.get("more_body", False)
        return message

    async def drop_unless(self, require: Callable[[], None]) -> None:
        """Take the body and refuse the request, where `require` refuses it.

        A connection whose request was read to its end serves further ones.
        """
        try:
            require()
        except Refusal:
            while not self.complete:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    break
            raise

    def _too_large(self) -> Refusal:
        return too_large(
            f"expected a body of at most {self._gate.limits.body} bytes, got more; send fewer "
            "inputs"
        )


class _Answer:
    """The answer to one request, as far as it has been sent."""

    def __init__(self, scope: Scope, send: Send, body: _Body) -> None:
        self._scope, self._send, self._body = scope, send, body
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send a message, its head with what every answer carries; to HEAD, no body."""
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = dict(HEADERS)
            headers[b"content-security-policy"] = _policy(self._scope["path"]).encode()
            if not self._body.complete:
                # What is left of the body is not waited for.
                headers[b"connection"] = b"close"
            given = [pair for pair in message.get("headers", ()) if pair[0].lower() not in headers]
            message = {**message, "headers": [*given, *headers.items()]}
        elif self._scope["method"] == HEAD:
            message = {**message, "body": b""}
        await self._send(message)

    async def refuse(self, error: Refusal) -> None:
        """Send a refusal; where an answer has begun already, the connection just ends."""
        if self.status:
            return
        content = error_body(error)
        headers = {"content-type": "application/json", "content-length": str(len(content))}
        headers |= error.headers
        if error.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        start = {"type": "http.response.start", "status": int(error.status), "headers": pairs}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": content})


def _policy(path: str) -> str:
    if path == "/docs":
        return OF_DOCS
    return OF_REPORTS if path.startswith(REPORTS) else STRICT


def error_body(error: Refusal) -> bytes:
    """Return a refusal as the Open Inference Protocol has errors."""
    return json.dumps({"error": str(error)}).encode()


def _header(scope: Scope, name: bytes) -> str | None:
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if found else None


def _has_body(scope: Scope) -> bool:
    if _header(scope, b"transfer-encoding") is not None:
        return True
    return (_header(scope, b"content-length") or "0").strip("0") != ""
