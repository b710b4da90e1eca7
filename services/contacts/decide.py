"""Pure rules of contacts."""

from collections.abc import Sequence

from connectors.business_central.models import Customer
from schemas.errors import Refused
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Invoice

_SHOWN = 5


def decide_match(found: Sequence[Customer], how: str, invoice: Invoice) -> CustomerMatch:
    """Take the one customer that was found.

    Raises:
        Refused: there are several, or it is blocked for invoices.
    """
    name = invoice.customer_name or invoice.customer_email or invoice.customer or "?"
    if len(found) > 1:
        named = ", ".join(f"{one.number} {one.city or one.display_name}".strip() for one in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise Refused(
            f"Customer '{name}' was found {_times(len(found))} in Business Central ({named}{more}), by {how}.",
            code="contact.ambiguous",
            fix="Make one of them different there, or choose other matching fields; then replay.",
        )
    customer = found[0]
    if customer.blocked in {"Invoice", "All"}:
        raise Refused(
            f"Customer {customer.number} '{customer.display_name}' is blocked in Business Central "
            f"({customer.blocked}).",
            code="contact.blocked",
            fix="Unblock the customer there, then replay.",
        )
    return CustomerMatch(id=customer.id, number=customer.number, name=customer.display_name, how=how)


def build_pinned_gone(customer: CustomerMatch, invoice: Invoice) -> Refused:
    """Say that the customer that a person chose is gone: no rule may choose another."""
    name = invoice.customer_name or invoice.customer_email or invoice.customer
    return Refused(
        f"Customer {customer.number}, which was chosen by hand for '{name}', is not in Business Central any more.",
        code="contact.pinned.gone",
        fix="Choose another customer for it, then replay.",
    )


def _times(count: int) -> str:
    return {2: "twice", 3: "three times"}.get(count, f"{count} times")
