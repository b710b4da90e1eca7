"""A Microsoft Entra that speaks HTTPS, discovers one tenant, and answers token requests as it is told."""

import asyncio
import base64
import contextlib
import json
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import trustme

TENANT = "6f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e21"
CLIENT = "demo-client"


def encode(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def build_tokens(
    token: str = "access", *, expires_in: int = 3600, user: bool = False, nonce: str = ""
) -> dict[str, Any]:
    """What the token endpoint answers; for a user with refresh token, id token and account."""
    tokens: dict[str, Any] = {"token_type": "Bearer", "expires_in": expires_in, "access_token": token}
    if user:
        now = int(time.time())
        claims = {"iss": "x", "aud": CLIENT, "exp": now + 600, "iat": now, "sub": "s", "oid": "o", "tid": TENANT}
        claims |= {"preferred_username": "finance@demo.example", "nonce": nonce}
        tokens |= {
            "scope": "https://api.businesscentral.dynamics.com/.default",
            "refresh_token": f"refresh-{token}",
            "id_token": f"{encode({'alg': 'none'})}.{encode(claims)}.",
            "client_info": encode({"uid": "o", "utid": TENANT}),
        }
    return tokens


def build_refusal(number: int, error: str = "invalid_client") -> dict[str, Any]:
    return {"error": error, "error_description": f"AADSTS{number}: No. Trace ID: t", "error_codes": [number]}


class FakeEntra:
    """Token answers are used up in order; requests are kept as forms."""

    def __init__(self, port: int, ca_bundle: Path) -> None:
        self.authority = f"https://localhost:{port}"
        self.ca_bundle = ca_bundle
        self.answers: list[dict[str, Any] | int] = []
        self.forms: list[dict[str, str]] = []
        self.discovery_status = 200
        self.device: dict[str, Any] = {
            "user_code": "ABC-DEF",
            "device_code": "device",
            "verification_uri": "https://localhost/device",
            "expires_in": 900,
            "interval": 0,
            "message": "Type ABC-DEF.",
        }

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path.endswith("/.well-known/openid-configuration"):
            base = f"{self.authority}/{TENANT}/oauth2/v2.0"
            return self.discovery_status, {
                "issuer": f"{self.authority}/{TENANT}/v2.0",
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "device_authorization_endpoint": f"{base}/devicecode",
            }
        self.forms.append(form)
        if path.endswith("/devicecode"):
            return (400 if "error" in self.device else 200), self.device
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            return answer, {}
        return (400 if "error" in answer else 200), answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [
                    line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length")
                ]
                body = (await reader.readexactly(int(lengths[0]) if lengths else 0)).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                status, answer = self.answer(head.split()[1].split("?")[0], form)
                content = json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def run_entra(folder: Path) -> AsyncGenerator[FakeEntra]:
    certificate = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.issue_cert("localhost").configure_cert(tls)
    bundle = folder / "ca.pem"
    certificate.cert_pem.write_to_path(bundle)
    fakes: list[FakeEntra] = []
    connections: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(fakes[0].serve(reader, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    fakes.append(FakeEntra(server.sockets[0].getsockname()[1], bundle))
    async with server:
        yield fakes[0]
        # The clients are gone, so each connection comes to its end.
        await asyncio.gather(*connections)
