"""All metrics, declared once with their units. Names follow Prometheus: seconds, totals."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_AGES = (0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 1800, 3600, 86400)

# Messages by how they ended: done, waiting, failed, dead. The rate of a stage is its rate.
MESSAGES = Counter("hub_stage_messages_total", "Messages finished, by outcome", ["stage", "outcome"])
# Seconds in the handler, tries and pauses included.
DURATION = Histogram(
    "hub_stage_duration_seconds", "Seconds from start to end of a message", ["stage"], buckets=_SECONDS
)
# Seconds between the message's publication and its start: how far behind the stage is, in time.
AGE = Histogram("hub_stage_age_seconds", "Seconds a message was old when it was started", ["stage"], buckets=_AGES)
# Messages on the topic that this consumer has not committed: consumer lag, by partition.
LAG = Gauge("hub_stage_lag_messages", "Consumer lag of the assigned partitions", ["stage", "partition"])
IN_HAND = Gauge("hub_stage_in_hand_messages", "Messages taken and not finished", ["stage"])
PAUSED = Gauge("hub_stage_paused", "1 while the stage has stopped taking messages", ["stage", "why"])
GAPS = Counter("hub_stage_offset_gaps_total", "Times offsets did not advance one by one", ["stage"])
DEAD = Counter("hub_dead_messages_total", "Messages sent to the dead topic", ["stage", "reason"])
WEBHOOKS = Counter("hub_ingest_webhooks_total", "Webhook requests, by answer", ["answer"])
# Signed and taken, and nothing came of them: the reason is one of a few sentences.
IGNORED = Counter("hub_ingest_ignored_total", "Signed events that need nothing done, by reason", ["reason"])
# Before the application saw them: 408 too slow, 431 a head too large, 503 to make room.
HTTP_CLOSED = Counter("hub_http_closed_total", "HTTP connections closed by their limits, by answer", ["answer"])
# Of accounts that have a connection. A wrong signing secret shows here.
SIGNATURES_REFUSED = Counter(
    "hub_ingest_signatures_refused_total", "Webhooks refused for their signature", ["account", "reason"]
)
WAITING = Gauge("hub_waiting_messages", "Invoices in the waiting set", ["connection"])
# Stripe, Business Central, or the hub itself, which fails with each message of the connection.
BLOCKED = Gauge("hub_connection_blocked", "Systems on which the connection waits as a whole", ["connection"])
OUTCOMES = Counter("hub_invoice_outcomes_total", "Invoice outcomes recorded", ["outcome"])
# Drafts beyond an invoice's first, by what became of them.
DOUBLES = Counter("hub_double_documents_total", "Second documents of one invoice that a sweep found", ["fate"])
SWEPT = Counter("hub_sweep_findings_total", "Invoices that a sweep found not as they should be", ["finding"])
WRITES = Counter("hub_remote_writes_total", "Writes to Stripe and Business Central", ["system", "what"])
# From the record of an outcome in the ledger to the write that says it in Stripe; what is told again does not count.
METADATA_DELAY = Histogram(
    "hub_metadata_delay_seconds", "Seconds from a change in the ledger until Stripe's metadata say so", buckets=_AGES
)
# Fields that a person changed in Business Central and Stripe changed too, when they were first seen.
CUSTOMER_DIFFERENCES = Counter("hub_customer_differences_total", "Differences left alone, by field", ["field"])
