"""Who calls: API keys by Bearer or Basic, the mode by their prefix, `Stripe-Account` (Stripe facts §98, §116)."""

import base64
import binascii
from collections.abc import Mapping

from simulators.stripe.errors import ApiError, unauthorized
from simulators.stripe.state import Account, Realm, World
from simulators.stripe.versions import CURRENT

TEST_PREFIXES = ("sk_test_", "rk_test_")
LIVE_PREFIXES = ("sk_live_", "rk_live_", "rk_")
_NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth"
    " (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or we"
    " can help at https://support.stripe.com/."
)


def register_key(world: World, account: Account, key: str) -> None:
    """Let a key open an account; raises ValueError for a key without a mode."""
    if not key.startswith(TEST_PREFIXES + LIVE_PREFIXES):
        raise ValueError("a key starts with sk_test_, sk_live_, rk_test_ or rk_live_")
    account.keys.append(key)
    world.keys[key] = (account, not key.startswith(TEST_PREFIXES))


def _key_of(headers: Mapping[str, str]) -> str:
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def open_realm(world: World, headers: Mapping[str, str]) -> Realm:
    """Find the data a request may see; 401 without a good key, 403 for a foreign account."""
    key = _key_of(headers)
    if not key:
        raise unauthorized(_NO_KEY)
    found = world.keys.get(key)
    if found is None:
        raise unauthorized(f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:]}")
    account, livemode = found
    wanted = headers.get("stripe-account")
    if wanted is None or wanted == account.id:
        return account.realm(livemode=livemode)
    connected = world.accounts.get(wanted)
    if connected is None or connected.platform != account.id:
        raise ApiError(
            403,
            f"The provided key '{key[:8]}***{key[-4:]}' does not have access to account '{wanted}' (or that account"
            " does not exist). Application access may have been revoked.",
            code="account_invalid",
            stored=False,
        )
    return connected.realm(livemode=livemode)


def check_version(headers: Mapping[str, str]) -> None:
    """Refuse any `Stripe-Version` but the simulated one."""
    version = headers.get("stripe-version", CURRENT)
    if version != CURRENT:
        raise ApiError(400, f"Invalid Stripe API version: {version}", stored=False)
