"""What the sign-in shows and hands back: pages, redirects, the discovery document."""

import html
from urllib.parse import urlencode

from simulators.business_central.store import Json
from simulators.business_central.tokens import encode_segment
from simulators.business_central.wire import Reply, Request
from simulators.business_central.world import App

OIDC_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})
USER_OBJECT = "5a2b7f10-0000-4000-a000-00000000d0e0"


def client_info(tenant: str) -> str:
    """Return MSAL's client_info: which user of which tenant."""
    return encode_segment(f'{{"uid":"{USER_OBJECT}","utid":"{tenant}"}}'.encode())


def send_back(params: dict[str, str], answer: dict[str, str]) -> Reply:
    """Hand the answer to the redirect URI: in its query, or by a form that submits itself (`form_post`)."""
    target, answer = params.get("redirect_uri", ""), answer | {"state": params.get("state", "")}
    if params.get("response_mode") != "form_post":
        joint = "&" if "?" in target else "?"
        return Reply(302, b"", {"Location": f"{target}{joint}{urlencode(answer)}"})
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in answer.items()
    )
    page = (
        f'<form method="post" action="{html.escape(target)}">{fields}</form><script>document.forms[0].submit()</script>'
    )
    return Reply(200, page.encode(), content_type="text/html; charset=utf-8")


def consent_page(request: Request, app: App) -> Reply:
    """Return the page with its two links, approve and deny."""
    base = html.escape(f"{request.path}?{request.query}")
    text = (
        f"<h1>Sign in</h1><p>{html.escape(app.client_id)} wants to use Business Central.</p>"
        f'<a href="{base}&amp;sim_approve=1">Approve</a> <a href="{base}&amp;sim_deny=1">Deny</a>'
    )
    return Reply(200, text.encode(), content_type="text/html; charset=utf-8")


def configuration(origin: str, tenant: str) -> Json:
    """Return the tenant's OpenID configuration."""
    base = f"{origin}/{tenant}"
    return {
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "response_types_supported": ["code"],
        "scopes_supported": sorted(OIDC_SCOPES),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    }
