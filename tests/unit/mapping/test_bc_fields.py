from typing import get_args

import pytest

from mapping.bc_fields import BcField, Entity, find_obstacle, get_credit_memo_field, get_field, list_fields
from simulators.business_central.entities import ENTITIES

ENTITY_NAMES: tuple[Entity, ...] = get_args(Entity)
# A page variable takes 50 characters, the field behind it 20.
SHORTER = {("customers", "taxRegistrationNumber"): 20}


@pytest.mark.parametrize("entity", ENTITY_NAMES)
def test_fields_are_those_of_the_simulator(entity: Entity) -> None:
    simulated = ENTITIES[entity].properties

    for name, prop in simulated.items():
        field = get_field(entity, name)
        assert field is not None, name
        assert field.type == prop.kind, name
        assert field.length == SHORTER.get((entity, name), prop.length), name
        assert field.members == prop.members, name
        assert prop.writable or field.obstacle, name
    assert not [field.name for field in list_fields(entity) if field.name not in simulated]


@pytest.mark.parametrize(
    ("entity", "name", "reason"),
    [
        ("salesInvoices", "externalDocumentNumber", "the hub finds its draft by it"),
        ("salesInvoices", "customerId", "it decides whose invoice this is"),
        ("salesInvoices", "currencyCode", "the currency is the Stripe invoice's"),
        ("salesInvoices", "totalAmountIncludingTax", "Business Central computes it"),
        ("salesInvoices", "disputeStatus", "only once the invoice is posted"),
        ("salesInvoiceLines", "unitPrice", "which is Stripe's to the cent"),
        ("salesInvoiceLines", "taxCode", "tax is set under invoices.tax"),
        ("salesCreditMemos", "invoiceId", "which invoice a credit memo settles"),
        ("customers", "number", "numbers of customers are set under customers"),
        ("customers", "displayname", "have no field displayname; did you mean displayName?"),
    ],
)
def test_fields_that_can_not_be_mapped_say_why(entity: Entity, name: str, reason: str) -> None:
    assert reason in find_obstacle(entity, name)


@pytest.mark.parametrize("entity", ENTITY_NAMES)
def test_nothing_that_decides_money_or_identity_can_be_mapped(entity: Entity) -> None:
    names = {field.name.lower() for field in list_fields(entity)}
    parts = ("amount", "price", "quantity", "discount", "tax", "currency", "customerid", "customernumber", "sequence")

    assert {name for name in names for part in parts if part in name} <= {"taxregistrationnumber"}


def test_credit_memos_have_their_own_name_for_the_date() -> None:
    field = get_credit_memo_field("invoiceDate")

    assert isinstance(field, BcField)
    assert field.name == "creditMemoDate"
    assert get_credit_memo_field("shipToCity") is None
