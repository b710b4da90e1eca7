"""Wiring of the metadata writer."""

from hub.app import Foundation, Service, build_stage_service
from hub.customer_sync import CustomerSyncs
from services.metadata_writer.handler import MetadataHandler
from services.metadata_writer.numbers import NumberWriter


def build_app(foundation: Foundation) -> Service:
    """Build the service on what all services share. It needs Stripe alone: an outage of BC is told all the same."""
    handler = MetadataHandler(
        directory=foundation.directory,
        ledger=foundation.ledger,
        remotes=foundation.clients,
        numbers=NumberWriter(foundation.ledger, CustomerSyncs(foundation.redis)),
        clock=foundation.clock,
    )
    return build_stage_service(foundation, "metadata_writer", handler, touches=frozenset({"stripe"}))
