"""Whose draft is whose: which Stripe invoice each document of a Business Central company was made or taken for.

Two invoices may have one number: of two accounts, or of one that lets its user set numbers. A document that the hub
knows to be another invoice's is not taken for this one's, however alike they are. What is not claimed here (an older
version of the hub made it, or the ledger was lost) is judged by what it shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.redis import document_owners_key, run

# No document's id begins so.
_PAST = "past of "


def name_owner(connection: str, invoice_id: str) -> str:
    """Name an invoice across all connections of a company."""
    return f"{connection}/{invoice_id}"


@dataclass(frozen=True)
class DocumentOwners:
    """Claims by BC company. All methods raise RetrySoon (`ledger.unavailable`) when Redis does not answer."""

    redis: Any
    company_key: str

    async def claim(self, document_id: str, owner: str) -> str:
        """Claim a document, unless another invoice has it; returns whose it is now."""
        key, field = document_owners_key(self.company_key), document_id.lower()
        if await run(self.redis.hsetnx(key, field, owner)):
            return owner
        return await run(self.redis.hget(key, field)) or owner

    async def claim_all(self, owners: Mapping[str, str]) -> None:
        """Claim what older versions of the hub have left unclaimed: owners by document id."""
        key = document_owners_key(self.company_key)
        known = await self.find(list(owners))
        if news := {one.lower(): owner for one, owner in owners.items() if one.lower() not in known}:
            await run(self.redis.hset(key, mapping=news))

    async def is_past_unclaimed(self, connection: str) -> bool:
        """Tell whether what older versions of the hub have drafted for a connection is still to be claimed."""
        return not await run(self.redis.hexists(document_owners_key(self.company_key), _PAST + connection))

    async def end_past(self, connection: str) -> None:
        """Remember that it has been claimed."""
        await run(self.redis.hset(document_owners_key(self.company_key), _PAST + connection, "claimed"))

    async def find(self, document_ids: Sequence[str]) -> dict[str, str]:
        """Return the owners of those documents that have one, by id in lower case."""
        if not document_ids:
            return {}
        fields = [one.lower() for one in document_ids]
        owners = await run(self.redis.hmget(document_owners_key(self.company_key), fields))
        return {field: owner for field, owner in zip(fields, owners, strict=True) if owner}
