"""Wiring of the metadata writer."""

from hub.app import Foundation, Service, build_stage_service
from services.metadata_writer.handler import MetadataHandler


def build_app(foundation: Foundation) -> Service:
    """Build the service on what all services share. It needs Stripe alone: an outage of BC is told all the same."""
    handler = MetadataHandler(
        directory=foundation.directory,
        ledger=foundation.ledger,
        remotes=foundation.clients,
        clock=foundation.clock,
    )
    return build_stage_service(foundation, "metadata_writer", handler, touches=frozenset({"stripe"}))
