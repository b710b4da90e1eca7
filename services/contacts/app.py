"""Wiring of contacts."""

from hub.app import Foundation, Service, build_stage_service
from hub.customer_sync import CustomerSyncs
from hub.outcomes import Outcomes
from hub.usage import Usage
from services.contacts.follower import CustomerFollower
from services.contacts.handler import ContactsHandler
from services.contacts.index import CustomerIndex
from services.contacts.resolver import CustomerResolver
from services.contacts.search import CustomerSearch


def build_app(foundation: Foundation) -> Service:
    """Build the service on what all services share."""
    ledger, clock = foundation.ledger, foundation.clock
    search, syncs = build_search(foundation), CustomerSyncs(foundation.redis)
    handler = ContactsHandler(
        directory=foundation.directory,
        ledger=ledger,
        remotes=foundation.clients,
        mapper=foundation.mapper,
        resolver=CustomerResolver(ledger, syncs, search, clock, ledger.lease_life),
        follower=CustomerFollower(ledger, syncs, search, clock),
        outcomes=Outcomes(ledger, clock, "contacts"),
        usage=Usage(foundation.redis),
        clock=clock,
    )
    return build_stage_service(foundation, "contacts", handler, touches=frozenset({"stripe", "bc"}))


def build_search(foundation: Foundation) -> CustomerSearch:
    """Build what finds customers, for the service and for commands that tell what it would find."""
    index = CustomerIndex(foundation.redis, foundation.clock, foundation.ledger.lease_life)
    return CustomerSearch(index, foundation.mapper.gatherer, foundation.mapper.learned)
