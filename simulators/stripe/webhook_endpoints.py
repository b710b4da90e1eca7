"""Webhook endpoints: register, list, change, delete, roll a secret (Stripe facts §4, §45, §46, §55)."""

from simulators.stripe.errors import invalid, missing
from simulators.stripe.metadata import merge_metadata
from simulators.stripe.paging import list_body, page_of
from simulators.stripe.params import EXPAND, Check, boolean, list_of, required, text, untouched
from simulators.stripe.state import Call, Endpoint, Json
from simulators.stripe.versions import CURRENT, KNOWN

UPDATE: dict[str, Check] = {
    "url": text(), "description": text(), "enabled_events": list_of(text()), "disabled": boolean, "metadata": untouched,
    "expand": EXPAND,
}  # fmt: skip
CREATE: dict[str, Check] = {
    **{name: check for name, check in UPDATE.items() if name != "disabled"}, "api_version": text(), "connect": boolean,
    "secret": text(),  # the simulator's own: tests may want to know the secret beforehand
}  # fmt: skip


def create(call: Call) -> Json:
    """POST /v1/webhook_endpoints: the secret is shown in this answer only."""
    params = call.params
    version = params.get("api_version")
    if version is not None and version not in KNOWN:
        raise invalid(f"Invalid Stripe API version: {version}", "api_version")
    public: Json = {
        "id": call.world.ids.new("we"),
        "object": "webhook_endpoint",
        "api_version": version,
        "application": None,
        "created": call.world.clock.stamp(),
        "description": params.get("description"),
        "enabled_events": required(params, "enabled_events"),
        "livemode": call.realm.livemode,
        "metadata": merge_metadata({}, params.get("metadata")),
        "status": "enabled",
        "url": _checked_url(required(params, "url")),
    }
    secret = params.get("secret") or call.world.ids.secret("whsec")
    endpoint = Endpoint(public, [secret], params.get("connect", False), every=False, types=frozenset())
    _select_events(endpoint)
    call.realm.endpoints.add(public["id"], endpoint)
    return public | {"secret": secret}


def _checked_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise invalid(f"Invalid URL: {url}", "url")
    return url


def _select_events(endpoint: Endpoint) -> None:
    enabled = endpoint.public["enabled_events"]
    endpoint.every = "*" in enabled
    endpoint.types = frozenset(enabled)


def version_of(endpoint: Endpoint) -> str:
    """Return the version this endpoint is served in (facts §4)."""
    return endpoint.public["api_version"] or CURRENT


def _find(call: Call) -> Endpoint:
    endpoint = call.realm.endpoints.get(call.args[0])
    if endpoint is None:
        raise missing("webhook endpoint", call.args[0], "id")
    return endpoint


def get(call: Call) -> Json:
    """GET /v1/webhook_endpoints/{id}."""
    return _find(call).public


def update(call: Call) -> Json:
    """POST /v1/webhook_endpoints/{id}."""
    endpoint = _find(call)
    changes = {name: value for name, value in call.params.items() if name in {"url", "description", "enabled_events"}}
    if "metadata" in call.params:
        changes["metadata"] = merge_metadata(endpoint.public["metadata"], call.params["metadata"])
    if "disabled" in call.params:
        changes["status"] = "disabled" if call.params["disabled"] else "enabled"
    endpoint.public = endpoint.public | changes
    _select_events(endpoint)
    return endpoint.public


def delete(call: Call) -> Json:
    """DELETE /v1/webhook_endpoints/{id}: pending retries end (facts §55)."""
    endpoint = _find(call)
    endpoint.public = endpoint.public | {"status": "disabled"}
    call.realm.endpoints.remove(endpoint.public["id"])
    return {"id": endpoint.public["id"], "object": "webhook_endpoint", "deleted": True}


def listing(call: Call) -> Json:
    """GET /v1/webhook_endpoints."""
    page = page_of(call.realm.endpoints, call.params, lambda _held: True)
    return list_body([held.public for held in page.entries], has_more=page.has_more, url="/v1/webhook_endpoints")
