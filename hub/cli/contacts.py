"""`hub contacts`: which Business Central customer a Stripe customer is: shown, chosen by hand, and let go."""

from dataclasses import asdict, dataclass, replace
from typing import Annotated

import typer

from connectors.business_central.models import Customer
from hub.app import Foundation
from hub.cli.context import Exit, choose_connection, fail, open_foundation, run_command
from hub.cli.screen import print_json
from hub.cli.wording import name_command, say, show_table
from hub.customer_sync import CustomerSync, CustomerSyncs
from hub.directory import Snapshot
from hub.ledger import CustomerLink
from mapping.customer_changes import build_kept_fields
from mapping.customers import list_customer_lists
from mapping.matching import is_blocked, read_field
from schemas.customer_settings import KeptField
from schemas.errors import Refused
from services.contacts.decide import build_match

NAME = "contacts"
app = typer.Typer(help="Show and choose the Business Central customer of a Stripe customer.", no_args_is_help=True)

Wanted = Annotated[
    str | None, typer.Option("--connection", help="Connection id or Stripe account; not needed if there is only one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")]
StripeCustomer = Annotated[str, typer.Argument(metavar="STRIPE_CUSTOMER", help="Its id in Stripe: cus_….")]


@dataclass(frozen=True)
class Difference:
    """A field that both sides have, and not the same."""

    field: str
    stripe: str
    business_central: str


@dataclass(frozen=True)
class Contact:
    """A Stripe customer and its Business Central customer, as they are now."""

    connection: str
    stripe_customer: str
    name: str
    """In Stripe; empty where it was deleted."""
    number: str
    business_central_name: str
    how: str
    pinned: bool
    remarks: tuple[str, ...]
    differences: tuple[Difference, ...]


@app.command()
def link(
    stripe_customer: StripeCustomer,
    bc_number: Annotated[
        str | None, typer.Argument(metavar="[BC_NUMBER]", help="The customer's number in Business Central.")
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="It is none of those that differ from it: its next invoice makes a new one.")
    ] = False,
    connection: Wanted = None,
    as_json: AsJson = False,
) -> None:
    """Choose the Business Central customer by hand. No rule replaces it."""
    if (bc_number is None) != new:
        fail("Give the customer's number in Business Central, or --new for a new customer.", Exit.USAGE)
    if bc_number is None:
        _call_new(stripe_customer, connection, as_json=as_json)
        return

    async def work() -> Contact:
        async with open_foundation() as foundation:
            return await _link(foundation, await _load(foundation, connection), stripe_customer, bc_number)

    linked = run_command(work())
    if as_json:
        print_json(asdict(linked))
        return
    named = f"{linked.stripe_customer} {linked.name}".strip()
    say(f"{named} is customer {linked.number} {linked.business_central_name} from now on.")
    for remark in linked.remarks:
        say((remark, "yellow"))
    say(f"Replay what has failed: {name_command('replay --failed', linked.connection)}")


def _call_new(stripe_customer: str, connection: str | None, *, as_json: bool) -> None:
    async def work() -> tuple[str, str]:
        async with open_foundation() as foundation:
            snapshot = await _load(foundation, connection)
            return snapshot.connection.id, await _note_new(foundation, snapshot, stripe_customer)

    chosen, name = run_command(work())
    if as_json:
        print_json({"connection": chosen, "stripe_customer": stripe_customer, "new": True})
        return
    say(f"{stripe_customer} {name}".strip(), " is a new customer: its next invoice makes it.")
    say(f"Replay what has failed: {name_command('replay --failed', chosen)}")


@app.command()
def show(
    stripe_customer: Annotated[
        str | None, typer.Argument(metavar="[STRIPE_CUSTOMER]", help="Default: all that a person may want to look at.")
    ] = None,
    connection: Wanted = None,
    as_json: AsJson = False,
) -> None:
    """Show a link and what differs on both sides; without a customer, all that differ, failed or were deleted."""

    async def work() -> list[Contact]:
        async with open_foundation() as foundation:
            snapshot = await _load(foundation, connection)
            return await _look_at_all(foundation, snapshot, stripe_customer)

    found = run_command(work())
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        say("All linked customers are in order.")
    for contact in () if as_json else found:
        print_contact(contact)


@app.command()
def unlink(stripe_customer: StripeCustomer, connection: Wanted = None, as_json: AsJson = False) -> None:
    """Forget the link, also one chosen by hand: the rules decide at the next invoice."""

    async def work() -> CustomerLink:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            known = await _require_link(foundation, chosen, stripe_customer)
            await foundation.ledger.drop_customer_link(chosen, stripe_customer, pinned=True)
            await foundation.ledger.call_customer_new(chosen, stripe_customer, is_new=False)
            await CustomerSyncs(foundation.redis).drop(chosen, stripe_customer)
            return known

    known = run_command(work())
    if as_json:
        print_json({"stripe_customer": stripe_customer, "number": known.customer.number, "pinned": known.pinned})
    else:
        say(f"{stripe_customer} is no longer linked to {known.customer.number} {known.customer.name}.")


async def _load(foundation: Foundation, wanted: str | None) -> Snapshot:
    return await foundation.directory.load(await choose_connection(foundation, wanted))


async def _require_link(foundation: Foundation, connection: str, stripe_customer: str) -> CustomerLink:
    known = await foundation.ledger.load_customer_link(connection, stripe_customer)
    if known is None:
        fail(f"{stripe_customer} is not linked to a customer in Business Central (yet).", Exit.NOT_FOUND)
    return known


async def _note_new(foundation: Foundation, snapshot: Snapshot, stripe_customer: str) -> str:
    """Remember that the customer is new. Returns its name in Stripe."""
    customer = await foundation.clients.stripe(snapshot).fetch_customer(stripe_customer)
    if customer is None:
        fail(f"There is no customer {stripe_customer} in Stripe.", Exit.NOT_FOUND)
    known = await foundation.ledger.load_customer_link(snapshot.connection.id, stripe_customer)
    if known is not None:
        fail(
            f"{stripe_customer} is customer {known.customer.number} {known.customer.name} already. If that is another, "
            "make the new customer in Business Central, and give its number here.",
            Exit.USAGE,
        )
    await foundation.ledger.call_customer_new(snapshot.connection.id, stripe_customer)
    return customer.name or ""


async def _link(foundation: Foundation, snapshot: Snapshot, stripe_customer: str, number: str) -> Contact:
    customer = await foundation.clients.stripe(snapshot).fetch_customer(stripe_customer)
    if customer is None:
        fail(f"There is no customer {stripe_customer} in Stripe.", Exit.NOT_FOUND)
    found = await foundation.clients.business_central(snapshot).find_customer(number)
    if found is None:
        fail(f"There is no customer {number} in Business Central.", Exit.NOT_FOUND)
    match = build_match(found, "chosen by hand")
    chosen = CustomerLink(customer=match, linked_at=foundation.clock.now(), pinned=True)
    await foundation.ledger.save_customer_link(snapshot.connection.id, stripe_customer, chosen)
    await foundation.ledger.call_customer_new(snapshot.connection.id, stripe_customer, is_new=False)
    return _describe(snapshot, stripe_customer, customer.name or "", chosen, found)


async def _look_at_all(foundation: Foundation, snapshot: Snapshot, stripe_customer: str | None) -> list[Contact]:
    connection, syncs = snapshot.connection.id, CustomerSyncs(foundation.redis)
    if stripe_customer is not None:
        await _require_link(foundation, connection, stripe_customer)
        return [await _look_at(foundation, snapshot, stripe_customer, await syncs.load(connection, stripe_customer))]
    known = {one: sync for one, sync in (await syncs.load_all(connection)).items() if sync.needs_eyes}
    # A link that was dropped since, because its customer was gone, is made anew by the next invoice.
    linked = [one for one in sorted(known) if await foundation.ledger.load_customer_link(connection, one)]
    return [await _look_at(foundation, snapshot, one, known[one]) for one in linked]


async def _look_at(
    foundation: Foundation, snapshot: Snapshot, stripe_customer: str, sync: CustomerSync | None
) -> Contact:
    """Compare both sides as they are now."""
    known = await _require_link(foundation, snapshot.connection.id, stripe_customer)
    bc = foundation.clients.business_central(snapshot)
    theirs = await bc.fetch_customer(known.customer.id)
    customer = await foundation.clients.stripe(snapshot).fetch_customer(stripe_customer)
    remarks: list[str] = []
    differences: tuple[Difference, ...] = ()
    if customer is None:
        remarks.append("It was deleted in Stripe; the link is kept.")
    elif theirs is not None:
        lists = list_customer_lists(snapshot.settings.customers)
        books = await foundation.mapper.gatherer.gather_books(snapshot, bc, lists)
        try:
            wanted, _ = build_kept_fields(customer, snapshot.settings, books)
        except Refused as error:
            remarks.append(f"{error.message} {error.fix}".strip())
        else:
            differences = _compare(wanted, theirs)
    if sync is not None and sync.problem is not None:
        remarks.append(f"The last change in Stripe was not carried over. {sync.problem.text}")
    described = _describe(snapshot, stripe_customer, customer.name or "" if customer else "", known, theirs)
    return replace(described, remarks=(*described.remarks, *remarks), differences=differences)


def _compare(wanted: dict[KeptField, str], theirs: Customer) -> tuple[Difference, ...]:
    both = ((name, ours, read_field(theirs, name)) for name, ours in wanted.items())
    return tuple(Difference(name, ours, text) for name, ours, text in both if ours != text)


def _describe(
    snapshot: Snapshot, stripe_customer: str, name: str, known: CustomerLink, theirs: Customer | None
) -> Contact:
    remarks: tuple[str, ...] = ()
    if theirs is None:
        remarks = ("It is not in Business Central any more.",)
    elif is_blocked(theirs):
        remarks = (f"It is blocked in Business Central ({theirs.blocked}): unblock it there.",)
    return Contact(
        connection=snapshot.connection.id,
        stripe_customer=stripe_customer,
        name=name,
        number=theirs.number if theirs else known.customer.number,
        business_central_name=theirs.display_name if theirs else known.customer.name,
        how=known.customer.how,
        pinned=known.pinned,
        remarks=remarks,
        differences=(),
    )


def print_contact(contact: Contact) -> None:
    """Print a contact: who it is, what is remarkable, what differs."""
    say((f"{contact.stripe_customer} {contact.name}".strip(), "bold"))
    say(f"  customer {contact.number} {contact.business_central_name}, {_tell_how(contact)}")
    for remark in contact.remarks:
        say((f"  {remark}", "yellow"))
    if contact.differences:
        rows = [(one.field, one.stripe, one.business_central) for one in contact.differences]
        show_table(("Field", "Stripe", "Business Central"), rows)


def _tell_how(contact: Contact) -> str:
    return "chosen by hand" if contact.pinned else contact.how
