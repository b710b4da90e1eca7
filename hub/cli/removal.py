"""What `hub connections remove` asks, does and tells."""

from dataclasses import dataclass

from hub.app import Foundation
from hub.cli.connect import load_without_secrets


@dataclass(frozen=True)
class Removal:
    """A connection that was removed."""

    connection: str
    forgotten: int
    """Invoices that waited."""
    unused_webhook_path: str | None
    """Where Stripe may still send webhooks that nobody takes any more."""

    @property
    def words(self) -> str:
        """Say what was done, and what is left to do."""
        done = f"{self.connection} is removed; {self.forgotten} waiting invoices were forgotten."
        if self.unused_webhook_path is None:
            return done
        return f"{done} If Stripe has a webhook endpoint for {self.unused_webhook_path}, delete it there."


async def ask_removal(foundation: Foundation, connection: str) -> str:
    """Build the question: what goes, and what stays."""
    waiting = await foundation.waiting.count(connection)
    stored = await load_without_secrets(foundation, connection)
    named = f" ({stored[0].stripe_account} with {stored[0].bc_company})" if stored else ""
    return (
        f"These go: Stripe key, webhook secrets, sign-in, settings in force, and {waiting} invoices that wait.\n"
        "These stay: drafts in Business Central, metadata in Stripe, and what the hub knows of its invoices.\n"
        f"Remove {connection}{named}?"
    )


async def remove_connection(foundation: Foundation, connection: str) -> Removal:
    """Remove it; services forget it within a second, and messages of it that still come."""
    stored = await load_without_secrets(foundation, connection)
    forgotten = await foundation.directory.remove(connection)
    account = stored[0].stripe_account if stored else ""
    is_last = not await foundation.directory.find_account(account)
    return Removal(connection, forgotten, f"/webhooks/stripe/{account}" if is_last else None)
