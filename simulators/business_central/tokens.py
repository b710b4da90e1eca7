"""Access tokens: JWT-shaped bearer strings, issued by the sign-in and known to the API."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from simulators.business_central.clock import Clock, Ids
from simulators.business_central.errors import invalid_credentials
from simulators.business_central.world import World

AUDIENCE = "https://api.businesscentral.dynamics.com"
LIFETIME_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Claims:
    """What the API reads from a token; `user` is the client id for an app's own sign-in."""

    tenant: str
    client_id: str
    user: str
    expires: float


class TokenBook:
    """All access tokens that were handed out; what is not in here was forged."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._clock: Clock = world.clock
        self._ids: Ids = world.ids
        self._issued: dict[str, Claims] = {}
        self.lifetime = LIFETIME_SECONDS

    def issue(self, tenant: str, client_id: str, user: str) -> str:
        """Make a token valid for the lifetime in force."""
        now = int(self._clock.now())
        claims = Claims(tenant, client_id, user, now + self.lifetime)
        payload = {
            "aud": AUDIENCE,
            "iss": f"https://sts.windows.net/{tenant}/",
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
            "appid": client_id,
            "oid": user,
            "tid": tenant,
            "uti": self._ids.guid(),
            "ver": "1.0",
        }
        token = jwt(payload, self._ids.guid())
        self._issued[token] = claims
        return token

    def check(self, token: str) -> Claims:
        """Return the claims of a token that is valid now; raises the API's 401."""
        claims = self._issued.get(token)
        if claims is None or claims.expires <= self._clock.now():
            raise invalid_credentials()
        app = self._world.apps.get((claims.tenant, claims.client_id))
        if app is None or not app.registered:
            # Entra knows the app, Business Central's own list of applications does not (BC facts §2).
            raise invalid_credentials()
        return claims

    def revoke(self, client_id: str) -> int:
        """Forget all tokens of an app; returns how many there were."""
        gone = [token for token, claims in self._issued.items() if claims.client_id == client_id]
        for token in gone:
            del self._issued[token]
        return len(gone)


def jwt(payload: dict[str, Any], signature: str) -> str:
    """Render a JWT whose signature nobody can check; clients must not look inside an access token anyway."""
    parts = [
        json.dumps(part, separators=(",", ":")) for part in ({"typ": "JWT", "alg": "RS256", "kid": "sim"}, payload)
    ]
    return ".".join(encode_segment(part.encode()) for part in [*parts, signature])


def encode_segment(content: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
