"""Messages survive JSON: what a producer meant is what a consumer reads."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas.customer_settings import CustomerSettings, MatchPair
from schemas.invoice_settings import InvoiceSettings, LineTarget
from schemas.messages import (
    Attempt,
    BcDocument,
    DeadMessage,
    ErrorDetail,
    InvoiceResult,
    MetadataUpdated,
    StripeEventReceived,
    Wakeup,
)
from schemas.settings import Settings

# UTF-8 has no lone surrogates; Kafka takes bytes.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware by timezones
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(TEXT, JSON_VALUES, max_size=4)
NAMES = st.dictionaries(TEXT, TEXT, max_size=3)
CAUSES = st.sampled_from(("webhook", "catch_up", "retry", "replay", "backfill", "sweep"))
OUTCOMES = st.sampled_from(("synced", "failed", "pending", "skipped", "attention"))
STAGES = st.sampled_from(("ingest", "contacts", "invoices", "metadata_writer"))

WAKEUPS = st.builds(
    Wakeup,
    object_id=TEXT,
    event_type=TEXT,
    event_id=st.none() | TEXT,
    occurred_at=MOMENTS,
    cause=CAUSES,
    recreate=st.booleans(),
    attempt=st.integers(0, 30),
    history=st.booleans(),
    settings_version=st.none() | st.integers(1, 99),
)
EVENTS = st.builds(
    StripeEventReceived,
    connection=TEXT,
    cause=CAUSES,
    object_id=TEXT.filter(bool),
    event_type=TEXT,
    event_id=st.none() | TEXT,
    occurred_at=MOMENTS,
    recreate=st.booleans(),
    attempt=st.integers(0, 30),
    history=st.booleans(),
    settings_version=st.none() | st.integers(1, 99),
)
DOCUMENTS = st.builds(BcDocument, id=TEXT, number=TEXT, external_document_number=TEXT, total=AMOUNTS, currency=TEXT)
ERRORS = st.builds(
    ErrorDetail, kind=st.sampled_from(("refused", "blocked")), code=TEXT, message=TEXT, fix=TEXT, context=NAMES
)
ATTEMPTS = st.builds(
    Attempt,
    at=MOMENTS,
    request=TEXT,
    payload=st.none() | OBJECTS,
    status=st.none() | st.integers(100, 599),
    answer=st.none() | OBJECTS,
    request_id=st.none() | TEXT,
)
RESULTS = st.builds(
    InvoiceResult,
    connection=TEXT,
    invoice_id=TEXT,
    outcome=OUTCOMES,
    stage=STAGES,
    received=WAKEUPS,
    document=st.none() | DOCUMENTS,
    error=st.none() | ERRORS,
    reason=TEXT,
    attempts=st.lists(ATTEMPTS, max_size=2).map(tuple),
    notes=st.lists(TEXT, max_size=2).map(tuple),
    dry_run=st.booleans(),
    settings_version=st.none() | st.integers(1, 100),
    retry_at=st.none() | MOMENTS,
    decided_at=MOMENTS,
)
UPDATES = st.builds(
    MetadataUpdated,
    connection=TEXT,
    invoice_id=TEXT,
    outcome=OUTCOMES,
    written=NAMES,
    reason=TEXT,
    dry_run=st.booleans(),
    request_id=st.none() | TEXT,
    at=MOMENTS,
)
DEAD = st.builds(
    DeadMessage,
    stage=STAGES,
    reason=st.sampled_from(("poison", "unexpected")),
    code=TEXT,
    error=TEXT,
    trace=TEXT,
    attempts=st.integers(0, 9),
    topic=TEXT,
    partition=st.integers(0, 11),
    offset=st.integers(0, 2**62),
    key=st.none() | TEXT,
    value=st.none() | TEXT,
    headers=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    at=MOMENTS,
)
CODES = st.text("ABCXYZ0189-", min_size=1, max_size=20)
SETTINGS = st.builds(
    Settings,
    triggers=st.permutations(("finalized", "sent", "paid")).map(lambda all_: tuple(all_[:2])),
    metadata_prefix=st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True),
    customers=st.builds(
        CustomerSettings,
        match=st.lists(
            st.builds(MatchPair, stripe=st.sampled_from(("email", "id")), bc=st.sampled_from(("email", "number"))),
            min_size=1,
            max_size=3,
        ).map(tuple),
        create_missing=st.booleans(),
    ),
    invoices=st.builds(
        InvoiceSettings,
        lines=st.none()
        | st.builds(LineTarget, type=st.sampled_from(("Account", "Item")), number=CODES, tax_code=st.none() | CODES),
        external_document_number=st.sampled_from(("number", "id")),
        external_document_prefix=st.text("ABC-", max_size=9),
    ),
    doubt_window=st.timedeltas(min_value=Settings().doubt_window / 100, max_value=Settings().doubt_window * 6),
)


@settings(max_examples=60, deadline=None)
@given(st.one_of(WAKEUPS, EVENTS, DOCUMENTS, ERRORS, ATTEMPTS, RESULTS, UPDATES, DEAD, SETTINGS))
def test_every_message_reads_as_it_was_written(message: BaseModel) -> None:
    assert type(message).model_validate_json(message.model_dump_json()) == message


@given(EVENTS)
@settings(max_examples=30, deadline=None)
def test_what_waits_is_enough_to_come_round_again(message: StripeEventReceived) -> None:
    wakeup = message.build_wakeup()

    assert wakeup.model_dump() == message.model_dump(exclude={"version", "connection"})
