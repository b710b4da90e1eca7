"""The HTTP edge below the handlers: read a request, write a reply, cut a connection."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

JSON_TYPE = "application/json"
_FIRST_ERROR = 400


@dataclass(slots=True)
class Request:
    """One request, fully read; headers in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    scheme: str = "http"
    answer: str = ""
    """What a fault makes of the answer: `stale` shows the record before its last change, `foreign` another record."""

    def segments(self) -> list[str]:
        """Return the decoded parts of the path."""
        return [unquote(part) for part in self.path.split("/") if part]

    def json(self) -> Any:
        """Decode the body, numbers with a point as Decimal; raises ValueError."""
        return json.loads(self.body, parse_float=Decimal)

    def form(self) -> dict[str, str]:
        """Decode a form body."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def params(self) -> dict[str, str]:
        """Decode the query string."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def origin(self) -> str:
        """Return scheme and host as the client sees them."""
        return f"{self.scheme}://{self.headers.get('host', 'localhost')}"


@dataclass(slots=True)
class Reply:
    """One answer ready to be written."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    content_type: str = JSON_TYPE

    @property
    def ok(self) -> bool:
        """Tell whether the request succeeded."""
        return self.status < _FIRST_ERROR


def json_reply(status: int, content: Any, headers: dict[str, str] | None = None) -> Reply:
    """Render a JSON answer."""
    return Reply(status, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), headers or {})


def write_out(content: Any) -> str:
    """Render JSON whose decimals show all digits of the binary number they became."""
    match content:
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{write_out(value)}" for name, value in content.items()) + "}"
        case list():
            return "[" + ",".join(write_out(value) for value in content) + "]"
        case float():
            return f"{content:.17g}"
        case _:
            return json.dumps(content, ensure_ascii=False)


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
    path = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "replace").partition("?")[0]
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body, scope["scheme"])


async def write_reply(send: ASGISendCallable, reply: Reply) -> None:
    """Write the whole answer."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.body or reply.status not in {204, 304}:
        headers.append((b"content-type", reply.content_type.encode()))
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
