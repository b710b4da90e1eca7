"""Connections that book into one company: the same one under another spelling, and those beside it."""

from collections.abc import Sequence
from contextlib import suppress

from hub.app import Foundation
from hub.cli.wording import name_command
from hub.redis import connection_key, run
from schemas.connections import Connection
from schemas.settings import Settings


async def list_neighbours(foundation: Foundation, connection: Connection) -> list[Connection]:
    """List the connections that book into the same company, oldest first; this one too, if it is stored."""
    ids = await foundation.directory.list_ids()
    stored = [await run(foundation.redis.hget(connection_key(one), "connection")) for one in ids]
    found: list[Connection] = []
    for one in stored:
        # One that is damaged is told by hub connections list, and keeps nobody from adding another.
        with suppress(ValueError):
            found += [Connection.model_validate_json(one)] if one is not None else []
    return sorted((one for one in found if one.company_key == connection.company_key), key=lambda one: one.created_at)


def spell_as_stored(given: Connection, neighbours: Sequence[Connection]) -> Connection:
    """Take over how a stored connection of the same account, mode and company spells its parts.

    A tenant has a GUID and domains, and companies are renamed. Under another spelling it would be a second connection,
    with a ledger of its own, that drafts every invoice once more.
    """
    same = [one for one in neighbours if _joins_the_same(one, given)]
    if not same or any(one.id == given.id for one in same):
        return given
    names = ("bc_tenant", "bc_environment", "bc_company")
    return given.model_copy(update={name: getattr(same[0], name) for name in names})


def _joins_the_same(one: Connection, other: Connection) -> bool:
    return (one.stripe_account, one.livemode, one.company_key) == (
        other.stripe_account,
        other.livemode,
        other.company_key,
    )


def note_neighbours(
    given: Connection, known: Connection, neighbours: Sequence[Connection], settings: Settings
) -> list[str]:
    """Say what became of another spelling, and what to mind where others book into the same company."""
    others = [one for one in neighbours if one.id != known.id]
    remarks = [
        f"{one.id} joins the same account with the same company under another spelling, and drafts every invoice too. "
        f"Stop one of them: {name_command('connections pause', one.id)}"
        for one in others
        if _joins_the_same(one, known)
    ]
    if known.id != given.id:
        remarks.append(
            f"This account is connected with this company already, as {known.id}: tenant {known.bc_tenant}, "
            f"environment {known.bc_environment}, company {known.bc_company!r}. That connection was updated and keeps "
            "its spelling; a second one would draft every invoice again."
        )
    if others and not settings.invoices.external_document_prefix:
        remarks.append(
            "Another connection books into the same company: set invoices.external_document_prefix, "
            "or two invoices could claim the same external document number."
        )
    return remarks
