"""The HTTP edge below the handlers: read a request, write a reply, cut a connection."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope


@dataclass(slots=True)
class Request:
    """One request, fully read."""

    method: str
    path: str
    segments: list[str]
    query: str
    headers: dict[str, str]
    body: bytes

    def text(self) -> str:
        """Return the parameters: query and body together, as Stripe reads them; raises UnicodeDecodeError."""
        body = self.body.decode()
        return f"{self.query}&{body}" if self.query and body else self.query or body

    def json(self) -> dict[str, Any]:
        """Decode a JSON object; raises ValueError for anything else."""
        decoded = json.loads(self.body or b"{}")
        if not isinstance(decoded, dict):
            raise TypeError("the body must be a JSON object")
        return decoded


@dataclass(slots=True)
class Reply:
    """One answer ready to be written."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"


async def read_request(scope: HTTPScope, receive: ASGIReceiveCallable) -> Request:
    """Read the whole request."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "replace").partition("?")[0]
    return Request(
        scope["method"],
        raw,
        [unquote(part) for part in raw.strip("/").split("/")],
        scope["query_string"].decode("latin-1"),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body,
    )


async def write_reply(send: ASGISendCallable, reply: Reply) -> None:
    """Write the whole answer."""
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *((name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
