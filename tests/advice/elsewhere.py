"""Codes whose advice is not followed in tests/advice, by pattern, and why. One that stands nowhere fails the suite."""

from collections.abc import Mapping

_MENDED = "the hub writes the value in another form or leaves it out: tests/unit/services/test_customers.py"
_CONNECTING = "said to whoever connects, before there are invoices: tests/pipeline/test_cli_connections.py"
_SIGN_IN = "each is Microsoft's own refusal, which the same advice ends: tests/unit/business_central/test_bc_sign_in.py"
_OPERATOR = "of a process that does not start or a command that is refused: the operator's, not an invoice's"
_DAMAGED = "somebody wrote into the hub's Redis: tests/unit/services/test_damaged_records.py"
_DEFECT = "nobody but the hub's maintainers can mend it: the advice is to report it"
_TOLD = "said of an invoice that is synced: what is left to do is in Business Central alone"
_OTHERWISE = "Business Central did not do as it was asked: tests/contract/invoices, tests/unit/services/test_answers.py"
_CLOSED = "the invoice is not to be booked: the advice is about a draft made before, which the hub does not touch"
_NO_LIST = "the hub's own lists find it first; Business Central says it only in the minutes until they are read anew"

ELSEWHERE: Mapping[str, str] = {
    "alert.not_sent": _OPERATOR,
    "bc.*.not_found": "the record goes between two requests: tests/unit/services/test_draft_protocol.py",
    "bc.account.unknown": _NO_LIST,
    "bc.company.not_chosen": _CONNECTING,
    "bc.company.unknown": _CONNECTING,
    "bc.connection.*": _OPERATOR,
    "bc.currency.unknown": _NO_LIST,
    "bc.customer.missing": _DEFECT,
    "bc.dialog.needed": "Business Central's question has to be seen there; no page of the simulator asks one",
    "bc.document_number.too_long": "the hub refuses such a number first: invoice.number.too_long",
    "bc.email.format": _MENDED,
    "bc.field.missing": "a rest that no sentence names better; as bc.rule.violated",
    "bc.filter.refused": "the hub searches by no value longer than its field: tests/contract/business_central",
    "bc.invoice.posted": "nothing is wrong: the advice is about a change that a person wants",
    "bc.invoice.released": "said of a draft that the hub wants to change: tests/unit/services/test_doubles.py",
    "bc.phone.format": _MENDED,
    "bc.posting_group.missing": "as bc.customer.posting_group, of another card",
    "bc.request.*": "the hub or a mapping asked for what is not offered: tests/unit/mapping/test_mapping_checks.py",
    "bc.rule.violated": "the rule of an extension: whatever it says",
    "bc.sign_in.*": _SIGN_IN,
    "bc.tax_code.unknown": _NO_LIST,
    "bc.tax_number.*": _MENDED,
    "bc.text.too_long": "texts are fitted before they are sent: tests/unit/mapping/test_texts_arrive.py",
    "bc.value.malformed": "values are checked before they are sent: mapping.value.unfit",
    "bc.value.unknown": "a rest that no table names better; as bc.rule.violated",
    "broker.*": _OPERATOR,
    "configuration.invalid": _OPERATOR,
    "connection.damaged": _DAMAGED,
    "connection.held": "a run of the hub's own defects: tests/unit/hub/test_defects.py",
    "connection.invalid": _CONNECTING,
    "connection.unknown": _OPERATOR,
    "contact.create.different": "the rule of an extension: tests/unit/services/test_contacts_decide.py",
    "contact.customer.missing": "Stripe has no invoice without a customer; the shape of its API allows one",
    "demo.command": _DEFECT,
    "embedded.*": _OPERATOR,
    "http.port.unavailable": _OPERATOR,
    "invoice.answer.strange": _OTHERWISE,
    "invoice.closed.*": _CLOSED,
    "invoice.credited": "the correction is made in Business Central alone: tests/unit/services/test_credits.py",
    "invoice.currency.unknown": _DEFECT,
    "invoice.customer.changed": _OTHERWISE,
    "invoice.draft.changed": _TOLD,
    "invoice.lines.missing": _CLOSED,
    "invoice.number.changed": _OTHERWISE,
    "invoice.number.missing": "Stripe numbers each finalized invoice; the shape of its API allows one without",
    "invoice.posted.*": _TOLD,
    "invoice.status.strange": _OTHERWISE,
    "invoice.sums.unexplained": _DEFECT,
    "invoice.tax.different": "as invoice.total.different, where prices include tax: tests/unit/services",
    "invoice.total.unstable": "generated invoices may come to it (tests/contract/mapping); no plain one is known",
    "invoice.uncollectible": "its draft stands: what is left is to be entered in Business Central alone",
    "ledger.read_only": _OPERATOR,
    "ledger.record.damaged": _DAMAGED,
    "message.*": _OPERATOR,
    "preview.*": _OPERATOR,
    "replay.event.*": _OPERATOR,
    "secrets.key.missing": "tests/pipeline/test_cli_connections.py",
    "settings.*": "said to whoever saves settings: tests/unit/cli/test_settings_file.py",
    "stripe.*": "of a request that the hub should not make, or of a key at connecting: tests/unit/stripe_connector",
    "topics.*": _OPERATOR,
    "unexpected.*": _DEFECT,
}
