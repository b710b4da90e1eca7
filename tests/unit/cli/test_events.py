"""One line per message, whatever it is."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.cli.events import describe, is_of, to_json, to_line
from hub.cli.topic_reader import StoredRecord
from schemas.topics import TOPICS

GOLDEN = Path(__file__).parents[2] / "golden"
AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def build_record(topic: str, value: bytes | None, key: bytes | None = b"con_1/in_1") -> StoredRecord:
    return StoredRecord(topic, 3, 42, AT, key, value)


def read_golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.v1.json").read_bytes()


@pytest.mark.parametrize(
    ("topic", "name", "outcome", "words"),
    [
        ("stripe.events", "StripeEventReceived", "webhook", "invoice.finalized"),
        ("contacts.resolved", "ContactResolved", "resolved", "C10001 Müller & Søn ApS (email = billing@example.com)"),
        ("invoices.results", "InvoiceResult", "failed", "but its draft in Business Central came to 100.00 EUR"),
        ("metadata.updated", "MetadataUpdated", "synced", "bc_invoice='S-INV1001'"),
        ("hub.dead", "DeadMessage", "poison", "contacts, from stripe.events: The message can't be understood"),
    ],
)
def test_each_message_has_its_words(topic: str, name: str, outcome: str, words: str) -> None:
    record = build_record(topic, read_golden(name))

    assert describe(record)[0] == outcome
    assert words in describe(record)[1]
    assert words in to_line(record).plain


def test_every_topic_is_told() -> None:
    for topic in TOPICS:
        assert describe(build_record(topic.name, read_golden(topic.message.__name__)))[0] != "?"


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff\xfe", b"[]", b'{"version": 2}'])
def test_what_can_not_be_read_has_a_line_too(value: bytes | None) -> None:
    record = build_record("invoices.results", value, key=b"\xff")

    assert describe(record) == ("?", f"can't be read ({len(value or b'')} bytes)")
    assert "can't be read" in to_line(record).plain
    assert to_json(record)["topic"] == "invoices.results"


def test_words_from_outside_are_no_markup() -> None:
    value = read_golden("InvoiceResult").replace(b"is 125.00 EUR", b"[/bold] is")

    assert "[/bold]" in to_line(build_record("invoices.results", value)).plain


def test_a_connections_messages_are_known_by_their_key() -> None:
    assert is_of(build_record("stripe.events", b""), None)
    assert is_of(build_record("stripe.events", b""), "con_1")
    assert not is_of(build_record("stripe.events", b""), "con_2")
    assert not is_of(build_record("stripe.events", b"", key=None), "con_1")
