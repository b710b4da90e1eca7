"""The life of an invoice, seen through the real SDK."""

import pytest
import stripe

from tests.simulators.stripe.harness import Simulator, make_customer, make_draft, make_open


def test_finalizing_numbers_and_freezes_a_draft(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    draft = client.v1.invoices.retrieve(make_draft(client, customer, (1000, 250)))
    assert (draft.status, draft.number, draft.hosted_invoice_url, draft.total) == ("draft", None, None, 1250)
    invoice = client.v1.invoices.finalize_invoice(draft.id)
    assert (invoice.status, invoice.number, invoice.amount_due) == ("open", "NLS-0001", 1250)
    assert invoice.status_transitions.finalized_at is not None
    assert make_open(client, customer).number == "NLS-0002"


def test_a_customer_change_reaches_drafts_but_no_finalized_invoice(client: stripe.StripeClient) -> None:
    customer = make_customer(client, "Before")
    final, draft = make_open(client, customer), make_draft(client, customer)
    client.v1.customers.update(customer, {"name": "After", "address": {"city": "Augsburg"}})
    client.v1.customers.tax_ids.create(customer, {"type": "eu_vat", "value": "DE123456789"})
    changed = client.v1.invoices.retrieve(draft)
    assert changed.customer_name == "After"
    assert changed.customer_address is not None
    assert (changed.customer_address.city, changed.customer_address.country) == ("Augsburg", "DE")
    assert changed.customer_tax_ids is not None
    assert changed.customer_tax_ids[0].value == "DE123456789"
    kept = client.v1.invoices.retrieve(final.id)
    assert (kept.customer_name, kept.customer_tax_ids) == ("Before", [])


def test_embedded_lines_stop_at_ten_and_paging_gives_all_twenty_five(client: stripe.StripeClient) -> None:
    invoice = make_open(client, make_customer(client), tuple(range(100, 125)))
    shown = client.v1.invoices.retrieve(invoice.id)
    assert (len(shown.lines.data), shown.lines.has_more, shown.lines["total_count"]) == (10, True, 25)
    amounts = [line.amount for line in shown.lines.auto_paging_iter()]
    assert amounts == list(range(100, 125))
    page = client.v1.invoices.line_items.list(invoice.id, {"limit": 20})
    assert (len(page.data), page.has_more) == (20, True)
    assert len(list(page.auto_paging_iter())) == 25


def test_expand_shows_customer_payments_and_price(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    invoice = make_open(client, customer)
    client.v1.invoices.pay(invoice.id)
    shown = client.v1.invoices.retrieve(
        invoice.id, {"expand": ["customer.tax_ids", "payments", "lines.data.pricing.price_details.price"]}
    )
    assert isinstance(shown.customer, stripe.Customer)
    assert shown.customer.id == customer
    assert shown.payments is not None
    assert shown.payments.data[0].payment.type == "payment_intent"
    assert shown.lines.data[0].pricing is not None
    assert shown.lines.data[0].pricing.price_details is not None
    assert isinstance(shown.lines.data[0].pricing.price_details.price, stripe.Price)
    assert "payments" not in client.v1.invoices.retrieve(invoice.id)


def test_a_deleted_customer_expands_to_a_stub(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    invoice = make_open(client, customer)
    client.v1.customers.delete(customer)
    shown = client.v1.invoices.retrieve(invoice.id, {"expand": ["customer"]}).to_dict()
    assert shown["customer"] == {"id": customer, "object": "customer", "deleted": True}
    assert client.v1.customers.retrieve(customer).to_dict()["deleted"] is True


def test_an_invoice_of_nothing_is_paid_on_finalization(sim: Simulator, client: stripe.StripeClient) -> None:
    invoice = make_open(client, make_customer(client), ())
    assert (invoice.status, invoice.attempted, invoice.attempt_count, invoice.amount_due) == ("paid", True, 0, 0)
    assert sim.event_types()[-3:] == ["invoice.finalized", "invoice.updated", "invoice.paid"]


def test_a_negative_total_becomes_credit_and_the_next_invoice_uses_it(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    credit = make_open(client, customer, (-4534,))
    assert (credit.status, credit.amount_due, credit.ending_balance, credit.total) == ("paid", 0, -4534, -4534)
    assert client.v1.customers.retrieve(customer).balance == -4534
    following = make_open(client, customer, (10000,))
    assert (following.starting_balance, following.amount_due, following.total) == (-4534, 5466, 10000)
    assert client.v1.customers.retrieve(customer).balance == 0


def test_out_of_band_payment_leaves_attempted_false_and_emits_paid_only(
    sim: Simulator, client: stripe.StripeClient
) -> None:
    invoice = make_open(client, make_customer(client))
    paid = client.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    assert (paid.status, paid.attempted, paid.amount_paid_off_stripe, paid.amount_remaining) == ("paid", False, 1000, 0)
    assert sim.event_types()[-2:] == ["invoice.updated", "invoice.paid"]


def test_wrong_transitions_answer_with_the_recorded_sentences(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    paid, void, draft = make_open(client, customer), make_open(client, customer), make_draft(client, customer)
    client.v1.invoices.pay(paid.id)
    client.v1.invoices.void_invoice(void.id)
    invoices = client.v1.invoices
    cases = [
        (lambda: invoices.finalize_invoice(paid.id), "This invoice is already finalized, you can't re-finalize"),
        (lambda: invoices.pay(paid.id), "Invoice is already paid"),
        (lambda: invoices.void_invoice(paid.id), "Invoices with `paid` payments cannot be voided."),
        (lambda: invoices.void_invoice(void.id), "You can only pass in open invoices. This invoice isn't open."),
        (lambda: invoices.mark_uncollectible(draft), "You can only pass in open invoices."),
        (lambda: invoices.delete(void.id), "You can only delete draft invoices."),
        (lambda: invoices.update(paid.id, {"description": "x"}), "Finalized invoices can't be updated in this way"),
    ]
    for act, sentence in cases:
        with pytest.raises(stripe.InvalidRequestError, match=sentence):
            act()


def test_a_voided_invoice_keeps_its_amounts_and_an_uncollectible_one_can_be_paid(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    void = client.v1.invoices.void_invoice(make_open(client, customer).id)
    assert (void.status, void.amount_due, void.amount_remaining) == ("void", 1000, 1000)
    lost = client.v1.invoices.mark_uncollectible(make_open(client, customer).id)
    assert lost.status == "uncollectible"
    assert lost.to_dict()["status_details"]["uncollectible"]["reason"]
    assert client.v1.invoices.pay(lost.id).status == "paid"


def test_a_deleted_draft_is_gone(client: stripe.StripeClient) -> None:
    draft = make_draft(client, make_customer(client))
    assert client.v1.invoices.delete(draft).to_dict()["deleted"] is True
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.invoices.retrieve(draft)
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_invoices_are_listed_newest_first_with_filters_and_paging(client: stripe.StripeClient) -> None:
    one, two = make_customer(client), make_customer(client)
    ids = [make_open(client, one).id for _ in range(4)]
    draft = make_draft(client, two)
    assert [entry.id for entry in client.v1.invoices.list({"customer": one}).data] == ids[::-1]
    assert [entry.id for entry in client.v1.invoices.list({"status": "draft"}).data] == [draft]
    assert [entry.id for entry in client.v1.invoices.list({"limit": 2}).auto_paging_iter()] == [draft, *ids[::-1]]
    created = client.v1.invoices.retrieve(draft).created
    assert len(client.v1.invoices.list({"created": {"gt": created}}).data) == 0
    assert len(client.v1.invoices.list({"created": {"lte": created}}).data) == 5


def test_pending_items_join_newest_first_only_when_asked_for(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    for name in ("old", "new"):
        client.v1.invoice_items.create({"customer": customer, "amount": 100, "currency": "eur", "description": name})
    assert client.v1.invoices.create({"customer": customer}).lines.data == []
    taken = client.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    assert [line.description for line in taken.lines.data] == ["new", "old"]


def test_a_credit_note_lowers_what_is_due_and_voiding_it_gives_that_back(
    sim: Simulator, client: stripe.StripeClient
) -> None:
    invoice = make_open(client, make_customer(client), (1000, 500))
    line = invoice.lines.data[1].id
    lines: list[stripe.params.CreditNoteCreateParamsLine] = [
        {"type": "invoice_line_item", "invoice_line_item": line, "quantity": 1}
    ]
    note = client.v1.credit_notes.create({"invoice": invoice.id, "lines": lines})
    assert (note.type, note.pre_payment_amount, note.number) == ("pre_payment", 500, "NLS-0001-CN-01")
    lowered = client.v1.invoices.retrieve(invoice.id)
    assert (lowered.total, lowered.amount_due, lowered.pre_payment_credit_notes_amount) == (1500, 1000, 500)
    assert client.v1.credit_notes.void_credit_note(note.id).status == "void"
    assert client.v1.invoices.retrieve(invoice.id).amount_due == 1500
    assert {"credit_note.created", "credit_note.voided"} <= set(sim.event_types())


def test_a_declined_card_leaves_the_invoice_open(sim: Simulator, client: stripe.StripeClient) -> None:
    invoice = make_open(client, make_customer(client))
    with pytest.raises(stripe.CardError) as caught:
        client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_chargeDeclined"})
    assert caught.value.code == "card_declined"
    assert client.v1.invoices.retrieve(invoice.id).status == "open"
    assert sim.event_types()[-1] == "invoice.payment_failed"
