"""The sign-in, by the library the product uses and by hand."""

import html
import re
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx
import msal
import pytest

from simulators.business_central.default_seed import CLIENT_ID, CLIENT_SECRET, TENANT
from tests.simulators.business_central.books import Running

SCOPE = "https://api.businesscentral.dynamics.com/.default"
REDIRECT = "http://localhost:8400/callback"


# msal recommends form_post; the answer in the query is what a loopback redirect still uses.
QUERY_MODE = pytest.mark.filterwarnings("ignore:response_mode='form_post':UserWarning")


def submitted(page: httpx.Response) -> dict[str, str]:
    """Return what the browser would post from the page."""
    return {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', page.text)}


class Desk:
    """One browser and one back end."""

    def __init__(self, running: Running, http: httpx.Client) -> None:
        self.running = running
        self.http = http
        self.admin = running.listening.announcement()["admin"]
        self._apps: list[Any] = []

    def close(self) -> None:
        for app in self._apps:
            app.http_client.close()

    def _kept(self, app: Any) -> Any:
        self._apps.append(app)
        return app

    def app(self, secret: str = CLIENT_SECRET) -> Any:
        return self._kept(
            msal.ConfidentialClientApplication(
                CLIENT_ID,
                client_credential=secret,
                authority=self.running.authority,
                instance_discovery=False,
                verify=str(self.running.listening.ca_bundle),  # pyright: ignore[reportArgumentType] - for requests
            )
        )

    def device_app(self) -> Any:
        return self._kept(
            msal.PublicClientApplication(
                "demo-device",
                authority=self.running.authority,
                instance_discovery=False,
                verify=str(self.running.listening.ca_bundle),
            )
        )

    def control(self, name: str, **body: Any) -> Any:
        answer = self.http.post(f"{self.admin}/{name}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def form(self, endpoint: str, tenant: str = TENANT, **form: str) -> httpx.Response:
        base = self.running.authority.removesuffix(TENANT)
        return self.http.post(f"{base}{tenant}/oauth2/v2.0/{endpoint}", data=form)

    def works(self, token: str) -> bool:
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.get(f"{self.running.company}/items?$top=1", headers=headers).is_success


@pytest.fixture
def desk(running: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    # requests, below msal, prefers these variables to the bundle it was given.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with httpx.Client(verify=ssl.create_default_context(cafile=str(running.listening.ca_bundle))) as http:
        opened = Desk(running, http)
        yield opened
        opened.close()


def test_an_app_signs_in_with_its_secret(desk: Desk) -> None:
    result = desk.app().acquire_token_for_client([SCOPE])
    assert 3500 < result["expires_in"] <= 3600
    assert "refresh_token" not in result
    assert desk.works(result["access_token"])
    assert not desk.works("made.up.token")


def test_a_user_signs_in_with_a_code_and_the_refresh_token_rotates(desk: Desk) -> None:
    app = desk.app()
    flow = app.initiate_auth_code_flow([SCOPE], redirect_uri=REDIRECT, response_mode="form_post")
    assert "Approve" in desk.http.get(flow["auth_uri"]).text
    result = app.acquire_token_by_auth_code_flow(flow, submitted(desk.http.get(flow["auth_uri"] + "&sim_approve=1")))
    assert "error" not in result, result
    assert desk.works(result["access_token"])
    account = app.get_accounts()[0]
    assert app.acquire_token_silent([SCOPE], account=account)["access_token"] == result["access_token"]
    fresh = app.acquire_token_silent([SCOPE], account=account, force_refresh=True)
    assert fresh["access_token"] != result["access_token"]
    old = desk.form(
        "token", grant_type="refresh_token", refresh_token=result["refresh_token"], client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET, scope=SCOPE,
    )  # fmt: skip
    assert old.json()["error"] == "invalid_grant"


@QUERY_MODE
def test_a_code_works_once_and_only_with_its_verifier(desk: Desk) -> None:
    app = desk.app()
    desk.control("sign_in", auto_approve=True)
    flow = app.initiate_auth_code_flow([SCOPE], redirect_uri=REDIRECT)
    answer = parse_qs(urlparse(desk.http.get(flow["auth_uri"]).headers["Location"]).query)
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"][0],
        "redirect_uri": REDIRECT,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code_verifier": "wrong",
    }
    assert desk.form("token", **form).json()["error_codes"] == [501481]
    assert desk.form("token", **form).json()["error_codes"] == [54005]


@QUERY_MODE
def test_a_user_may_decline(desk: Desk) -> None:
    flow = desk.app().initiate_auth_code_flow([SCOPE], redirect_uri=REDIRECT)
    location = desk.http.get(flow["auth_uri"] + "&sim_deny=1").headers["Location"]
    assert parse_qs(urlparse(location).query)["error"] == ["access_denied"]


def test_a_device_signs_in_once_the_code_is_approved(desk: Desk) -> None:
    app = desk.device_app()
    flow = app.initiate_device_flow([SCOPE])
    assert flow["user_code"] in flow["message"]
    page = desk.http.get(flow["verification_uri"], params={"user_code": flow["user_code"], "sim_approve": "1"})
    assert page.is_success
    result = app.acquire_token_by_device_flow(flow)
    assert "error" not in result, result
    assert desk.works(result["access_token"])


def test_a_waiting_device_hears_pending_slow_down_denied_and_expired(desk: Desk) -> None:
    def start() -> tuple[str, dict[str, str]]:
        flow = desk.form("devicecode", client_id="demo-device", scope=SCOPE).json()
        poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "demo-device"}
        return flow["user_code"], poll | {"device_code": flow["device_code"]}

    user_code, poll = start()
    assert desk.form("token", **poll).json()["error"] == "authorization_pending"
    assert desk.form("token", **poll).json()["error"] == "slow_down"
    assert desk.control("device", user_code=user_code, approve=False) == {"found": True}
    assert desk.form("token", **poll).json()["error"] == "access_denied"
    _, poll = start()
    desk.control("clock", advance_seconds=901)
    assert desk.form("token", **poll).json()["error"] == "expired_token"


def test_errors_have_entras_shape(desk: Desk) -> None:
    result = desk.app("wrong").acquire_token_for_client([SCOPE])
    assert result["error"] == "invalid_client"
    assert result["error_description"].startswith("AADSTS7000215: Invalid client secret provided.")
    assert result["error_codes"] == [7000215]
    assert result["correlation_id"]


@pytest.mark.parametrize(
    ("change", "error", "number"),
    [
        ({"scope": "https://graph.microsoft.com/.default"}, "invalid_scope", 1002012),
        ({"client_id": "nobody"}, "unauthorized_client", 700016),
        ({"tenant": "11111111-1111-4111-a111-111111111111"}, "invalid_request", 90002),
        ({"grant_type": "password"}, "unsupported_grant_type", 70003),
    ],
)
def test_wrong_requests_are_told_apart(desk: Desk, change: dict[str, str], error: str, number: int) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": SCOPE}
    answer = desk.form("token", **(form | change)).json()
    assert (answer["error"], answer["error_codes"]) == (error, [number])
    assert answer["error_description"].startswith(f"AADSTS{number}: ")


def test_an_expired_secret_is_told(desk: Desk) -> None:
    desk.control("app", client_id=CLIENT_ID, secret_expired=True)
    assert desk.app().acquire_token_for_client([SCOPE])["error_codes"] == [7000222]


def test_an_unknown_tenant_cannot_be_discovered(desk: Desk) -> None:
    url = f"{desk.running.authority.removesuffix(TENANT)}nobody.example/v2.0/.well-known/openid-configuration"
    answer = desk.http.get(url)
    assert answer.status_code == 400
    assert answer.json()["error_codes"] == [90002]


def test_tokens_end_by_time_by_revocation_and_by_business_central(desk: Desk) -> None:
    def token() -> str:
        return desk.app().acquire_token_for_client([SCOPE])["access_token"]

    first = token()
    desk.control("revoke", client_id=CLIENT_ID)
    assert not desk.works(first)
    second = token()
    desk.control("clock", advance_seconds=3601)
    assert not desk.works(second)
    desk.control("app", client_id=CLIENT_ID, registered=False)
    assert not desk.works(token())
