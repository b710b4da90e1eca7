"""Codes of Stripe."""

from schemas.catalogue.entry import WAIT, Entry, Page

_NEW_KEY = "Create a new key in Stripe (Developers, API keys) and connect Stripe again in the hub with it."

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "stripe.*.bad_id",
        "What was given can't be the id of a Stripe object.",
        "Give the id that Stripe shows.",
        Page.HUB_REPLAY,
    ),
    Entry(
        "stripe.*.missing",
        "The object does not exist in Stripe (any more).",
        "Check whether it was deleted in Stripe, or belongs to another account.",
        Page.STRIPE_INVOICE,
    ),
    Entry(
        "stripe.*.other_mode",
        "The object belongs to Stripe's other mode: live and test data are kept apart.",
        "Replay it in the connection for that mode, or connect Stripe again with a key of the right mode.",
        Page.HUB_CONNECTIONS,
    ),
    Entry(
        "stripe.*.refused",
        "Stripe refused a request.",
        "Look at the object in Stripe; when it is in order, replay.",
        Page.STRIPE_INVOICE,
    ),
    Entry(
        "stripe.account.different",
        "The Stripe key belongs to another account than was named.",
        "Give a key of that account, or name the account of the key.",
        Page.STRIPE_KEYS,
    ),
    Entry(
        "stripe.account.mode",
        "The Stripe key is of the other mode, live or test.",
        "Connect again with a key of the connection's mode.",
        Page.STRIPE_KEYS,
    ),
    Entry(
        "stripe.account.no_access",
        "Stripe no longer gives the hub access to this account.",
        "Connect Stripe again in the hub.",
        Page.HUB_CONNECTIONS,
    ),
    Entry("stripe.answer.too_large", "Stripe's answer is longer than the hub reads.", WAIT, Page.HUB_WAITING),
    Entry("stripe.answer.unreadable", "Stripe's answer can't be read.", WAIT, Page.HUB_WAITING),
    Entry(
        "stripe.call.unexpected",
        "Something unforeseen went wrong in a call to Stripe.",
        "Report the dead message; replay it after an update of the hub.",
        Page.HUB_DEAD,
    ),
    Entry(
        "stripe.connection.address",
        "The address set for Stripe is not that of its API.",
        "Check HUB_STRIPE_API_BASE.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry("stripe.connection.failed", "The connection to Stripe failed.", WAIT, Page.HUB_WAITING),
    Entry("stripe.connection.timeout", "Stripe did not answer in time.", WAIT, Page.HUB_WAITING),
    Entry(
        "stripe.connection.untrusted",
        "The certificate of Stripe's address is not trusted.",
        "Check the address and HUB_CA_BUNDLE.",
        Page.HUB_ENVIRONMENT,
    ),
    Entry(
        "stripe.credentials.forbidden",
        "The Stripe key lacks a permission.",
        "Give it the permission that the error names; the hub then goes on by itself.",
        Page.STRIPE_KEYS,
    ),
    Entry(
        "stripe.credentials.malformed",
        "The Stripe key has not the form of a secret or restricted key (sk_… or rk_…).",
        "Connect Stripe again in the hub with one.",
        Page.STRIPE_KEYS,
    ),
    Entry(
        "stripe.credentials.rejected",
        "Stripe needs to be connected again: it does not accept the key (revoked, expired or mistyped).",
        _NEW_KEY,
        Page.STRIPE_KEYS,
    ),
    Entry("stripe.idempotency.key_in_use", "The same write is still under way in Stripe.", WAIT, Page.HUB_WAITING),
    Entry(
        "stripe.idempotency.key_reused",
        "The hub used an idempotency key twice for different contents.",
        "Report the dead message: it is a defect of the hub.",
        Page.HUB_DEAD,
    ),
    Entry(
        "stripe.invoice.lines_changed",
        "The lines of the invoice changed while they were read.",
        WAIT,
        Page.HUB_WAITING,
    ),
    Entry(
        "stripe.metadata.bad_key",
        "Stripe does not accept a metadata key of the hub.",
        "Choose another metadata prefix in the hub's settings.",
        Page.HUB_SETTINGS,
    ),
    Entry(
        "stripe.metadata.too_many_keys",
        "The invoice has no room for the hub's metadata: Stripe allows 50 keys.",
        "Delete metadata of the invoice in Stripe that nobody needs, then replay.",
        Page.STRIPE_INVOICE,
    ),
    Entry(
        "stripe.metadata.value_too_long",
        "A metadata value is longer than Stripe's 500 characters.",
        "Shorten what is written there.",
        Page.HUB_SETTINGS,
    ),
    Entry("stripe.object.locked", "Somebody else changes the same object in Stripe.", WAIT, Page.HUB_WAITING),
    Entry(
        "stripe.outage",
        "Stripe does not answer.",
        "Nothing: the hub looks again every minute at most, and goes on in order once it does.",
        Page.HUB_WAITING,
    ),
    Entry("stripe.rate.limited", "Stripe takes no more requests at the moment.", WAIT, Page.HUB_WAITING),
    Entry("stripe.service.failed", "Stripe failed to answer.", WAIT, Page.HUB_WAITING),
    Entry("stripe.service.unavailable", "Stripe is not available at the moment.", WAIT, Page.HUB_WAITING),
)
