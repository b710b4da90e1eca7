"""Creates a BC customer, and makes it what was asked for, as far as Business Central lets it.

Optional data never stops it: what Business Central refuses and is not essential is left out. And Business Central
changes by itself what it is sent (BC facts 20.3): what it made of a customer is compared with what was asked for, and
written once more, or told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from connectors.business_central.models import Customer
from hub.lease import Lease
from hub.log import get_logger
from mapping.answers import build_mend, describe_differences
from mapping.customers import NewCustomerPayload, withhold_post_code
from mapping.optional_fields import MOST_ROUNDS, leave_out, list_kept
from schemas.errors import HubError, InDoubt, Refused
from services.contacts.claims import Claim, Claims
from services.contacts.decide import check_created, compare_customer, is_made_of
from services.contacts.ports import BcCustomers
from services.contacts.search import Question

# A country that goes back may clear the city, which then follows: it depends on the order that is validated in.
_MENDS = 2
Made = tuple[Customer, tuple[str, ...]]
"""A customer, and notes: what was left out of it, and what Business Central insists on."""


@dataclass(frozen=True)
class CustomerCreator:
    """Creates one customer, whose claims are held."""

    question: Question
    bc: BcCustomers
    claims: Claims
    leases: Sequence[Lease] = ()

    async def make(self, new: NewCustomerPayload) -> Made:
        """Create the customer, and write what follows in a write of its own.

        A refusal that names something that may be left out is a clear no: the rest is sent as a new request.

        Raises:
            Refused: Business Central takes no customer like this, or made somebody else of it.
            InDoubt: it may have been created.
        """
        payload, notes, rounds = new.payload, list(new.notes), 0
        kept = list_kept(self.question.snapshot.settings.fields.customer)
        while True:
            try:
                created = await self._create(payload)
                break
            except Refused as error:
                smaller = leave_out("customers", payload, error, kept=kept) if rounds < MOST_ROUNDS else None
                if smaller is None:
                    raise
            payload, rounds = smaller.payload, rounds + 1
            notes.append(smaller.note)
        created, left = await self._finish(payload, created)
        return created, (*notes, *left)

    async def finish(self, new: NewCustomerPayload, known: Customer) -> Made:
        """Write the rest of one whose creation was in doubt, or ended before all of it was written.

        One that differs in more than its place may be a person's, who entered it meanwhile: it is left as it is.
        """
        if not is_made_of(new.payload, known):
            return known, ()
        known, left = await self._finish(new.payload, known)
        return known, (*new.notes, *left)

    async def _create(self, payload: dict[str, Any]) -> Customer:
        asked = withhold_post_code(payload)
        sent: list[Claim] = []

        async def before_send() -> None:
            sent.append(await self.claims.write_intent(self.leases))

        try:
            answer = await self.bc.create_customer(asked, before_send=before_send)
        except InDoubt as error:
            await self.claims.save(sent[-1].model_copy(update={"slot": error.context.get("limiter_slot")}))
            raise InDoubt(
                error.message, code="contact.create.in_doubt", context=error.context, retry_after=timedelta(seconds=1)
            ) from error
        except HubError:
            # Business Central said no. Without an intent of ours nothing was sent, and the claims may be another's.
            if sent:
                await self.claims.drop()
            raise
        return await self._accept(asked, payload, answer.value)

    async def _accept(self, asked: Mapping[str, Any], payload: Mapping[str, Any], created: Customer) -> Customer:
        """Keep who was created. An answer that is not this request's leaves it in doubt, so that it is looked for.

        One answer may be stale: what it shows otherwise than it was asked for is read again before it is judged.
        """
        if compare_customer(asked, created):
            created = await self.bc.fetch_customer(created.id) or created
        try:
            check_created(asked, created)
        except Refused:
            # A replay finds it, and judges it as it is then.
            await self.claims.save(Claim(customer_id=created.id))
            raise
        await self.claims.save(Claim(customer_id=created.id, is_whole=not compare_customer(payload, created)))
        return created

    async def _finish(self, payload: Mapping[str, Any], customer: Customer) -> Made:
        if not compare_customer(payload, customer):
            return customer, ()
        customer, notes = await complete(self.bc, payload, customer)
        await self.claims.save(Claim(customer_id=customer.id))
        return customer, notes


async def complete(bc: BcCustomers, asked: Mapping[str, Any], customer: Customer) -> Made:
    """Write what is not yet as it was asked for. What can't be written is told, and stops no invoice.

    Args:
        bc: Writes.
        asked: The whole payload.
        customer: As it was answered, perhaps without its post code.
    """
    if asked.get("postalCode") and any(one.name == "postalCode" for one in compare_customer(asked, customer)):
        customer = await _change(bc, customer, {"postalCode": asked["postalCode"]}) or customer
    for _ in range(_MENDS):
        mend = build_mend(asked, compare_customer(asked, customer))
        changed = await _change(bc, customer, mend) if mend else None
        if changed is None:
            break
        customer = changed
    words = describe_differences(f"Customer {customer.number}", compare_customer(asked, customer))
    return customer, (words,) if words else ()


async def _change(bc: BcCustomers, customer: Customer, fields: Mapping[str, Any]) -> Customer | None:
    """Change fields; None where that could not be done, which the comparison then shows.

    Where no answer came, it may have been done, with all that Business Central changes along: what stands there counts.
    """
    try:
        return await change_customer(bc, customer, fields)
    except InDoubt:
        return await bc.fetch_customer(customer.id)
    except HubError as error:
        get_logger().warning("contacts.customer.not_completed", number=customer.number, code=error.code)
        return None


async def change_customer(bc: BcCustomers, customer: Customer, fields: Mapping[str, Any]) -> Customer | None:
    """Change fields of a customer under its etag; None where it is gone, or somebody else changed it meanwhile.

    An answer that does not show what was asked for may be stale, or another customer's: it is read again.
    """
    answer = await bc.update_customer(customer.id, fields, etag=customer.etag)
    if isinstance(answer, str):
        return None
    if answer.id.lower() == customer.id.lower() and not compare_customer(fields, answer):
        return answer
    return await bc.fetch_customer(customer.id)
