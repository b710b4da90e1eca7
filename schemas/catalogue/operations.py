"""Codes of running the hub: broker, ledger, topics, secrets, commands."""

from schemas.catalogue.entry import WAIT, Entry, Page

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "alert.not_sent",
        "A channel did not take an alert. It is sent again a minute later.",
        "Check HUB_ALERT_… and try it: hub alerts test.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry(
        "broker.message.size",
        "A message is too large for the hub's message broker.",
        "Split the invoice in Stripe.",
        Page.STRIPE_INVOICE,
    ),
    Entry("broker.publish", "The message broker did not take a message.", WAIT, Page.HUB_DOCTOR),
    Entry("broker.slow", "Kafka does not answer in time.", "Check HUB_KAFKA_BOOTSTRAP.", Page.HUB_ENVIRONMENT),
    Entry(
        "broker.unreachable",
        "Kafka does not answer.",
        "Check HUB_KAFKA_BOOTSTRAP and that the broker runs.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry(
        "configuration.invalid",
        "The environment lacks a value, or has a wrong or unknown one.",
        "Correct the names that the error lists.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry(
        "connection.damaged",
        "The hub's record of the connection in Redis can't be read: it is damaged, or another program's.",
        "Add the connection again with hub connections add: ledger and settings history stay. What waits goes on then.",
        Page.HUB_CONNECTIONS,
    ),
    Entry(
        "connection.held",
        "The hub itself failed with several messages of this connection in a row, so it holds the others.",
        "Look at hub dead list; undo what was changed last (a template, a release), then: hub connections resume. "
        "One message now and then tries by itself.",
        Page.HUB_DEAD,
    ),
    Entry(
        "connection.invalid",
        "A part of the connection has a value that is not allowed.",
        "Correct the option that the error names.",
        Page.HUB_CONNECTIONS,
    ),
    Entry(
        "connection.removed",
        "The connection was removed by a person.",
        "Nothing: its messages are dropped. Add it again if it should go on.",
        Page.HUB_CONNECTIONS,
    ),
    Entry(
        "connection.unknown",
        "The hub has no such connection.",
        "See hub connections list.",
        Page.HUB_CONNECTIONS,
    ),
    Entry("demo.command", "A command of the demonstration failed.", "Report it.", Page.SUPPORT),
    Entry(
        "embedded.*.in_use",
        "Another process uses the directory of an embedded part.",
        "Stop the other one, or set HUB_DATA_DIR to another directory.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry(
        "embedded.*.not_started",
        "An embedded part did not start.",
        "Read its last words in the error, and its log.",
        Page.HUB_DOCTOR,
    ),
    Entry(
        "embedded.broker.missing",
        "The embedded broker is not installed here.",
        "Install it, or set HUB_KAFKA_BOOTSTRAP.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry("embedded.port.none_free", "No port is free on this machine.", "Free one.", Page.HUB_DOCTOR),
    Entry(
        "embedded.redis.missing",
        "No redis-server is installed here.",
        "Install it, or set HUB_REDIS_URL.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry(
        "embedded.redis.not_private",
        "The directory of the embedded Redis belongs to another user of this machine.",
        "Remove it, or set HUB_DATA_DIR to a directory of one's own.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry(
        "history.queued",
        "The invoice is of the past: a backfill or the sweep has it looked at, behind what happens now.",
        WAIT,
        Page.HUB_WAITING,
    ),
    Entry(
        "http.port.unavailable",
        "Another process listens on the port.",
        "End it, or set HUB_HTTP_PORT or HUB_ADMIN_PORT to a free one, whichever the message names.",
        Page.HUB_DOCTOR,
    ),
    Entry(
        "ledger.read_only",
        "The hub's ledger (Redis) takes no writes: its memory or disk is full, or it is a replica.",
        "Give it room, or the address of the primary; hub doctor says which. The hub then goes on by itself.",
        Page.HUB_DOCTOR,
    ),
    Entry(
        "ledger.record.damaged",
        "A record of the hub in Redis can't be read: it is damaged, or another program's.",
        "Delete that key or field in Redis 20 minutes after the last try, then replay: the hub looks in Business "
        "Central before it makes anything.",
        Page.HUB_REPLAY,
    ),
    Entry("ledger.unavailable", "The hub's ledger (Redis) does not answer.", WAIT, Page.HUB_DOCTOR),
    Entry(
        "message.empty",
        "A message on a topic is empty.",
        "Look at it: only the hub itself should write to its topics.",
        Page.HUB_DEAD,
    ),
    Entry(
        "message.invalid",
        "A message on a topic can't be understood.",
        "Look at it; replay it once all services run the same version.",
        Page.HUB_DEAD,
    ),
    Entry(
        "message.key",
        "A message's key does not name its connection.",
        "Look at it: only the hub itself should write to its topics.",
        Page.HUB_DEAD,
    ),
    Entry(
        "preview.file.unreadable",
        "The file holds no Stripe invoice in the shape of the pinned API version.",
        "Save one from Stripe's API, or an event about one, as JSON.",
        Page.STRIPE_INVOICE,
    ),
    Entry(
        "preview.invoice.unknown",
        "Stripe has no such invoice in this account and mode.",
        "Copy its id from Stripe, or name the connection with --connection.",
        Page.STRIPE_INVOICE,
    ),
    Entry(
        "replay.capped",
        "The invoice was replayed many times within an hour; the next replay waits until the hour is over.",
        "Nothing, if people asked. Otherwise stop the automation that sets the replay key in Stripe.",
        Page.STRIPE_INVOICE,
    ),
    Entry(
        "replay.event.missing",
        "Stripe does not have the event (any more: it keeps them for 30 days).",
        "Replay its invoice by id.",
        Page.HUB_REPLAY,
    ),
    Entry("replay.event.no_invoice", "The event is about no invoice.", "Name an event of an invoice.", Page.HUB_REPLAY),
    Entry("replay.requested", "A replay was asked for in Stripe and is under way.", WAIT, Page.HUB_WAITING),
    Entry(
        "secrets.key.missing",
        "The stored credentials can't be read with the keys in HUB_SECRET_KEYS.",
        "Put the key they were saved with back into the list, or add the connection again.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry(
        "topics.different",
        "Topics are not as the hub's registry says.",
        "Change them as the error says.",
        Page.HUB_TOPICS,
    ),
    Entry("topics.missing", "Topics are missing.", "Run hub topics apply.", Page.HUB_TOPICS),
    Entry(
        "unexpected.*",
        "The hub met an error it did not expect: a defect.",
        "The dead topic has the message whole, for the operator; replay the invoice after an update.",
        Page.HUB_DEAD,
    ),
)
