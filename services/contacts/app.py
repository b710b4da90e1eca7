"""Wiring of contacts."""

from hub.app import Foundation, Service, build_stage_service
from hub.outcomes import Outcomes
from services.contacts.handler import ContactsHandler
from services.contacts.resolver import CustomerResolver


def build_app(foundation: Foundation) -> Service:
    """Build the service on what all services share."""
    handler = ContactsHandler(
        directory=foundation.directory,
        ledger=foundation.ledger,
        remotes=foundation.clients,
        mapper=foundation.mapper,
        resolver=CustomerResolver(foundation.ledger, foundation.clock, foundation.ledger.lease_life),
        outcomes=Outcomes(foundation.ledger, foundation.clock, "contacts"),
        clock=foundation.clock,
    )
    return build_stage_service(foundation, "contacts", handler, touches=frozenset({"stripe", "bc"}))
