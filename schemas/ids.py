"""Identifiers, and the one way to make a connection id and a message key."""

import hashlib
from typing import Annotated, NewType

from pydantic import StringConstraints

StripeAccountId = Annotated[str, StringConstraints(pattern=r"^acct_[A-Za-z0-9]+$")]
ConnectionId = NewType("ConnectionId", str)
StripeInvoiceId = NewType("StripeInvoiceId", str)
StripeCustomerId = NewType("StripeCustomerId", str)
BcSystemId = NewType("BcSystemId", str)
"""A Business Central SystemId: a GUID, lower case, without braces."""


def build_connection_id(
    stripe_account: str, *, livemode: bool, bc_tenant: str, bc_environment: str, bc_company: str
) -> ConnectionId:
    """Derive the id of a connection: the same five values give the same id, another company gives another one."""
    mode = "live" if livemode else "test"
    whole = "\x1f".join((stripe_account, mode, bc_tenant.lower(), bc_environment.lower(), bc_company))
    return ConnectionId("con_" + hashlib.sha256(whole.encode()).hexdigest()[:16])


def build_company_key(bc_company_id: str, bc_environment: str) -> str:
    """Name one BC company across connections: two Stripe accounts may share it, and must not both create a customer.

    By its GUID, for tenant and company can be spelt in several ways. Business Central makes it with the company, and
    copies it with an environment, so the environment's name belongs to it. Tenants do not: two of them hold one GUID
    only if one's database came from the other, and then sharing a key costs a wait, and no more.
    """
    whole = "\x1f".join((bc_company_id.lower(), bc_environment.lower()))
    return "bc_" + hashlib.sha256(whole.encode()).hexdigest()[:16]


def build_message_key(connection: str, object_id: str) -> str:
    """Build the Kafka key: all messages about one invoice (or customer) of one connection stay in order."""
    return f"{connection}/{object_id}"


def parse_message_key(key: str) -> tuple[ConnectionId, str] | None:
    """Split a message key into connection and object id; None if it has another form."""
    connection, slash, object_id = key.partition("/")
    return (ConnectionId(connection), object_id) if slash and connection and object_id else None
