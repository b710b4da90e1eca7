"""Wiring of invoices."""

from hub.app import Foundation, Service, build_stage_service
from hub.outcomes import Outcomes
from hub.usage import Usage
from services.invoices.handler import InvoicesHandler


def build_app(foundation: Foundation) -> Service:
    """Build the service on what all services share."""
    handler = InvoicesHandler(
        directory=foundation.directory,
        ledger=foundation.ledger,
        remotes=foundation.clients,
        mapper=foundation.mapper,
        outcomes=Outcomes(foundation.ledger, foundation.clock, "invoices"),
        usage=Usage(foundation.redis),
        clock=foundation.clock,
    )
    return build_stage_service(foundation, "invoices", handler, touches=frozenset({"stripe", "bc"}))
