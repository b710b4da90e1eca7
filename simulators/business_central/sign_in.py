"""Entra's sign-in: discovery, client credentials, authorization code with PKCE, refresh token, device code."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.business_central.sign_in_errors import SignInError, error_reply
from simulators.business_central.sign_in_pages import (
    OIDC_SCOPES,
    USER_OBJECT,
    client_info,
    configuration,
    consent_page,
    send_back,
)
from simulators.business_central.store import Json
from simulators.business_central.tokens import AUDIENCE, TokenBook, jwt
from simulators.business_central.wire import Reply, Request, json_reply
from simulators.business_central.world import App, World

_DEVICE_GRANTS = frozenset({"urn:ietf:params:oauth:grant-type:device_code", "device_code"})
_CODE_LIFETIME = 600
_DEVICE_LIFETIME = 900


@dataclass(slots=True)
class Grant:
    """A consent waiting to be turned into tokens: behind a code, a refresh token or a device code."""

    tenant: str
    client_id: str
    scope: str
    expires: float
    redirect_uri: str = ""
    challenge: str = ""
    challenge_method: str = ""
    nonce: str = ""
    user: str = "demo.user@example.com"
    state: str = "pending"
    polled: float = 0.0
    interval: float = 5.0
    user_code: str = ""


@dataclass(slots=True)
class SignInSwitches:
    """What the admin API can flip."""

    auto_approve: bool = False
    device_interval_seconds: float = 5.0
    user: str = "demo.user@example.com"


@dataclass(slots=True)
class _Shelf:
    codes: dict[str, Grant] = field(default_factory=dict[str, Grant])
    refresh: dict[str, Grant] = field(default_factory=dict[str, Grant])
    devices: dict[str, Grant] = field(default_factory=dict[str, Grant])


class SignIn:
    """Answers everything on the https listener."""

    def __init__(self, world: World, tokens: TokenBook) -> None:
        self._world = world
        self._tokens = tokens
        self._shelf = _Shelf()
        self.switches = SignInSwitches()
        self.issued: dict[str, int] = {}
        self._grants: dict[str, Callable[[str, dict[str, str]], Json]] = {
            "client_credentials": self._by_client_credentials,
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            **dict.fromkeys(_DEVICE_GRANTS, self._by_device_code),
        }

    async def handle(self, request: Request) -> Reply:
        """Answer one request."""
        try:
            return self._route(request)
        except SignInError as exc:
            return error_reply(exc, self._world.ids.guid(), self._world.ids.guid())

    def _route(self, request: Request) -> Reply:
        segments = request.segments()
        if self._world.switches.outage:
            raise SignInError(503, "temporarily_unavailable", 90033, "A transient error has occurred.")
        if not segments or segments[0] == "device":
            return self._device_page(request)
        tenant = self._tenant(segments[0])
        match [request.method, *segments[1:]]:
            case ["GET", ".well-known", "openid-configuration"] | [
                "GET",
                "v2.0",
                ".well-known",
                "openid-configuration",
            ]:
                return json_reply(200, configuration(request.origin(), tenant))
            case ["GET", "discovery", "v2.0", "keys"]:
                return json_reply(200, {"keys": []})
            case ["GET", "oauth2", "v2.0", "authorize"]:
                return self._authorize(tenant, request)
            case ["POST", "oauth2", "v2.0", "token"]:
                return json_reply(200, self._token(tenant, request.form()), {"Cache-Control": "no-store"})
            case ["POST", "oauth2", "v2.0", "devicecode"]:
                return json_reply(200, self._device_code(tenant, request))
            case _:
                raise SignInError(404, "invalid_request", 900144, "The requested resource does not exist.")

    def _tenant(self, name: str) -> str:
        tenant = self._world.find_tenant(name)
        if tenant is None:
            text = f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID."
            raise SignInError(400, "invalid_request", 90002, text)
        return tenant

    def _token(self, tenant: str, form: dict[str, str]) -> Json:
        grant = form.get("grant_type", "")
        issue = self._grants.get(grant)
        if issue is None:
            text = f"The request body must contain the following parameter: 'grant_type'. Got '{grant}'."
            raise SignInError(400, "unsupported_grant_type", 70003, text)
        answer = issue(tenant, form)
        self.issued[grant] = self.issued.get(grant, 0) + 1
        return answer

    def _app(self, tenant: str, client_id: str) -> App:
        app = self._world.apps.get((tenant, client_id))
        if app is None:
            text = f"Application with identifier '{client_id}' was not found in the directory '{tenant}'."
            raise SignInError(400, "unauthorized_client", 700016, text)
        return app

    def _authenticated(self, tenant: str, form: dict[str, str], *, secret_needed: bool = True) -> App:
        app = self._app(tenant, form.get("client_id", ""))
        secret = form.get("client_secret")
        if secret is None:
            if app.public or not secret_needed:
                return app
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise SignInError(401, "invalid_client", 7000218, text)
        if secret != app.client_secret:
            text = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{app.client_id}'."
            )
            raise SignInError(401, "invalid_client", 7000215, text)
        if app.secret_expired:
            text = f"The provided client secret keys for app '{app.client_id}' are expired."
            raise SignInError(401, "invalid_client", 7000222, text)
        return app

    def _by_client_credentials(self, tenant: str, form: dict[str, str]) -> Json:
        app = self._authenticated(tenant, form)
        scope = form.get("scope", "")
        if scope != f"{AUDIENCE}/.default":
            text = (
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
                "with /.default suffixed to the resource identifier (application ID URI)."
            )
            raise SignInError(400, "invalid_scope", 1002012, text)
        token = self._tokens.issue(tenant, app.client_id, app.client_id)
        lifetime = self._tokens.lifetime
        return {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}

    def _check_scope(self, scope: str) -> None:
        wanted = set(scope.split()) - OIDC_SCOPES
        if not wanted or any(not part.startswith(f"{AUDIENCE}/") for part in wanted):
            text = (
                f"The provided request must include a valid 'scope' input parameter. The scope '{scope}' is not valid."
            )
            raise SignInError(400, "invalid_scope", 70011, text)

    def _authorize(self, tenant: str, request: Request) -> Reply:
        """Redirect with a code when approved, else show a page with two links."""
        params = request.params()
        app = self._app(tenant, params.get("client_id", ""))
        redirect = params.get("redirect_uri", "")
        if app.redirect_uris and redirect not in app.redirect_uris:
            raise SignInError(400, "invalid_request", 50011, f"The redirect URI '{redirect}' is not registered.")
        self._check_scope(params.get("scope", ""))
        if params.get("sim_deny"):
            denied = {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
            return send_back(params, denied)
        if not params.get("sim_approve") and not self.switches.auto_approve:
            return consent_page(request, app)
        code = self._world.ids.guid()
        self._shelf.codes[code] = Grant(
            tenant,
            app.client_id,
            params.get("scope", ""),
            self._world.clock.now() + _CODE_LIFETIME,
            redirect_uri=redirect,
            challenge=params.get("code_challenge", ""),
            challenge_method=params.get("code_challenge_method", "plain"),
            nonce=params.get("nonce", ""),
            user=params.get("login_hint") or self.switches.user,
        )
        extra = {"client_info": client_info(tenant)} if params.get("client_info") else {}
        return send_back(params, {"code": code} | extra)

    def _by_code(self, tenant: str, form: dict[str, str]) -> Json:
        # A code works once, whatever comes of it.
        grant = self._shelf.codes.pop(form.get("code", ""), None)
        app = self._authenticated(tenant, form, secret_needed=grant is None or not grant.challenge)
        if grant is None or grant.tenant != tenant or grant.client_id != app.client_id:
            raise SignInError(
                400, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed or is unknown."
            )
        if grant.expires <= self._world.clock.now():
            raise SignInError(400, "invalid_grant", 70008, "The provided authorization code has expired.")
        if grant.redirect_uri != form.get("redirect_uri", ""):
            raise SignInError(400, "invalid_client", 500112, "The reply address does not match the one requested.")
        _check_verifier(grant, form.get("code_verifier", ""))
        return self._user_tokens(grant)

    def _by_refresh_token(self, tenant: str, form: dict[str, str]) -> Json:
        """Rotate: the old refresh token dies with its use."""
        key = form.get("refresh_token", "")
        grant = self._shelf.refresh.get(key)
        if grant is None or grant.tenant != tenant or grant.client_id != form.get("client_id", ""):
            raise SignInError(400, "invalid_grant", 70000, "The provided refresh token is invalid or has been revoked.")
        self._authenticated(tenant, form, secret_needed=False)
        del self._shelf.refresh[key]
        return self._user_tokens(grant)

    def _device_code(self, tenant: str, request: Request) -> Json:
        form = request.form()
        app = self._app(tenant, form.get("client_id", ""))
        self._check_scope(form.get("scope", ""))
        code = self._world.ids.guid()
        user_code = code.replace("-", "")[:9].upper()
        interval = self.switches.device_interval_seconds
        expires = self._world.clock.now() + _DEVICE_LIFETIME
        self._shelf.devices[code] = Grant(
            tenant, app.client_id, form.get("scope", ""), expires, interval=interval, user_code=user_code
        )
        page = f"{request.origin()}/device"
        return {
            "user_code": user_code,
            "device_code": code,
            "verification_uri": page,
            "expires_in": _DEVICE_LIFETIME,
            "interval": int(interval),
            "message": f"To sign in, open the page {page} and enter the code {user_code} to authenticate.",
        }

    def answer_device(self, user_code: str, *, approve: bool) -> bool:
        """Approve or deny a device code; tells whether it was there."""
        for grant in self._shelf.devices.values():
            if grant.user_code == user_code:
                grant.state, grant.user = "approved" if approve else "denied", self.switches.user
                return True
        return False

    def _device_page(self, request: Request) -> Reply:
        params = request.params()
        user_code = params.get("user_code", "")
        if params.get("sim_approve") or params.get("sim_deny"):
            found = self.answer_device(user_code, approve=bool(params.get("sim_approve")))
            return Reply(
                200 if found else 404, b"You have signed in." if found else b"Unknown code.", content_type="text/plain"
            )
        form = '<form><input name="user_code"><button name="sim_approve" value="1">Approve</button></form>'
        return Reply(200, form.encode(), content_type="text/html")

    def _by_device_code(self, tenant: str, form: dict[str, str]) -> Json:
        key = form.get("device_code") or form.get("code", "")
        grant = self._shelf.devices.get(key)
        if grant is None or grant.tenant != tenant or grant.client_id != form.get("client_id", ""):
            raise SignInError(400, "invalid_grant", 70000, "The provided device code is invalid.")
        now = self._world.clock.now()
        if grant.expires <= now:
            del self._shelf.devices[key]
            raise SignInError(400, "expired_token", 70020, "The provided value for the device code has expired.")
        if grant.state == "pending":
            too_fast = grant.polled and now - grant.polled < grant.interval
            grant.polled = now
            if too_fast:
                grant.interval += 5
                raise SignInError(400, "slow_down", 70037, "The client is polling too often.")
            raise SignInError(
                400, "authorization_pending", 70016, "OAuth 2.0 device flow is pending. Continue polling."
            )
        del self._shelf.devices[key]
        if grant.state == "denied":
            raise SignInError(400, "access_denied", 65004, "User declined to consent to access the app.")
        return self._user_tokens(grant)

    def _user_tokens(self, grant: Grant) -> Json:
        refresh = "0.A" + self._world.ids.guid()
        self._shelf.refresh[refresh] = grant
        lifetime = self._tokens.lifetime
        now = int(self._world.clock.now())
        identity = {
            "aud": grant.client_id,
            "iss": f"https://login.microsoftonline.com/{grant.tenant}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "name": "Demo User",
            "preferred_username": grant.user,
            "oid": USER_OBJECT,
            "sub": grant.user,
            "tid": grant.tenant,
            "ver": "2.0",
        }
        return {
            "token_type": "Bearer",
            "scope": " ".join(sorted(set(grant.scope.split()) - OIDC_SCOPES)),
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self._tokens.issue(grant.tenant, grant.client_id, grant.user),
            "refresh_token": refresh,
            "id_token": jwt(identity | ({"nonce": grant.nonce} if grant.nonce else {}), "unsigned"),
            "client_info": client_info(grant.tenant),
        }

    def revoke(self, client_id: str) -> int:
        """Kill an app's access and refresh tokens; returns how many access tokens died."""
        self._shelf.refresh = {key: grant for key, grant in self._shelf.refresh.items() if grant.client_id != client_id}
        return self._tokens.revoke(client_id)


def _check_verifier(grant: Grant, verifier: str) -> None:
    """Verify PKCE: S256 or plain."""
    if not grant.challenge:
        return
    sent = verifier
    if grant.challenge_method == "S256":
        sent = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if sent != grant.challenge:
        text = "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE."
        raise SignInError(400, "invalid_grant", 501481, text)
