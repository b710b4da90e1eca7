"""Those who receive alerts: a webhook and a mail server, on real sockets."""

import asyncio
import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class Inbox:
    """A webhook, and what was posted to it."""

    texts: list[str] = field(default_factory=list[str])
    status: int = 200

    async def _take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.texts.append((await request.json())["text"])
        return web.Response(status=self.status)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[str]:
        """Yield its address."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        async with TestServer(app) as server:
            yield str(server.make_url("/hook"))


@dataclass
class MailServer:
    """Speaks as much SMTP as a mail needs. With a certificate it offers STARTTLS, or is encrypted from the start."""

    certificate: ssl.SSLContext | None = None
    is_smtps: bool = False
    password: str = ""
    mails: list[str] = field(default_factory=list[str])
    heard: list[str] = field(default_factory=list[str])
    """Commands, and whether each came encrypted."""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[str]:
        """Yield host and port."""
        context = self.certificate if self.is_smtps else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        async with server:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line.split()[0].lower()
            is_encrypted = writer.get_extra_info("ssl_object") is not None
            self.heard.append(f"{verb}{' encrypted' if is_encrypted else ''}")
            if verb == "data":
                writer.write(b"354 go on\r\n")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
            writer.write(self._answer(verb, line, is_encrypted=is_encrypted))
            if verb == "starttls" and self.certificate is not None:
                await writer.start_tls(self.certificate)
        writer.close()

    def _answer(self, verb: str, line: str, *, is_encrypted: bool) -> bytes:
        match verb:
            case "ehlo":
                offers = b"250-STARTTLS\r\n" if self.certificate and not is_encrypted else b""
                return b"250-mail\r\n" + offers + b"250 AUTH PLAIN\r\n"
            case "starttls":
                return b"220 begin\r\n"
            case "auth":
                given = base64.b64decode(line.rsplit(maxsplit=1)[-1]).decode().split("\0")[-1]
                return b"235 welcome\r\n" if given == self.password else b"535 wrong\r\n"
            case "quit":
                return b"221 bye\r\n"
            case _:
                return b"250 ok\r\n"
