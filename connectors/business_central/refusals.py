"""What Business Central's own error codes and sentences mean to a finance person: one table, read from the top.

Sentences are matched in English, which the client pins by `Accept-Language: en-US`. Add a row when a refusal turns up
as `bc.rule.violated` or `bc.request.refused` and a better fix can be named.
"""

import re
from dataclasses import dataclass

_OPEN_CUSTOMER = "Open the customer in Business Central"
_REPORT = "Report this with the code and the request id: the hub sent something it should not send."


@dataclass(frozen=True)
class Refusal:
    """One row: what to look for, and what it means.

    `provider_code` and `sentence` are regular expressions (match and search); both must fit.
    """

    provider_code: str
    sentence: str
    code: str
    words: str
    fix: str

    def fits(self, provider_code: str, sentence: str) -> bool:
        """Tell whether this row explains the provider's answer."""
        return bool(
            re.fullmatch(self.provider_code, provider_code) and re.search(self.sentence, sentence, re.IGNORECASE)
        )


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        r".*",
        r"customer .* is blocked|blocked with type",
        "bc.customer.blocked",
        "The customer is blocked in Business Central.",
        f"{_OPEN_CUSTOMER} and set Blocked to empty (or Ship), then replay the invoice.",
    ),
    Refusal(
        r".*",
        r"posting group.*must (have a value|be filled)|posting group.*(cannot|can't) be (zero or )?empty",
        "bc.posting_group.missing",
        "A posting group is missing in Business Central.",
        "Fill in the posting group that Business Central names (for new customers: in the customer template), "
        "then replay the invoice.",
    ),
    Refusal(
        r".*",
        r"(vat|general|gen\.|customer|inventory) posting (group|setup).*does not exist",
        "bc.posting_setup.missing",
        "A combination of posting groups is not set up in Business Central.",
        "Add the combination under VAT Posting Setup or General Posting Setup, then replay the invoice.",
    ),
    Refusal(
        r".*",
        r"\"?customerNumber\"? or a \"?customerId\"? must be provided",
        "bc.customer.missing",
        "The invoice was sent to Business Central without a customer.",
        _REPORT,
    ),
    Refusal(
        r".*",
        r"\"?customer(Id|Number)\"? does not match to a customer|the customer does not exist|"
        r"customer (cannot be found|values do not match)",
        "bc.customer.unknown",
        "The customer is not in Business Central any more.",
        "Replay the invoice: the hub looks for the customer again, or creates it if settings allow.",
    ),
    Refusal(
        r".*",
        r"currency exchange rate|currency factor must have a value",
        "bc.currency.rate_missing",
        "Business Central has no exchange rate for the invoice's currency on its posting date.",
        "Add an exchange rate that covers the date under Currencies, then replay the invoice.",
    ),
    Refusal(
        r".*",
        r"\"?currency(Code|Id)\"? does not match to a currency|the currency does not exist",
        "bc.currency.unknown",
        "Business Central does not know the invoice's currency.",
        "Add the currency with an exchange rate under Currencies, then replay the invoice.",
    ),
    Refusal(
        r".*",
        r"enter numbers manually|manual nos\.",
        "bc.customer.number_series",
        "Business Central does not allow a chosen number here.",
        "Remove the number from the mapping, or activate Manual Nos. in the number series.",
    ),
    Refusal(
        r"Internal_EntityWithSameKeyExists",
        r"",
        "bc.record.exists",
        "A record with this number exists in Business Central already.",
        "Choose another number in the mapping, or leave the number to Business Central; then replay.",
    ),
    Refusal(
        r".*",
        r"direct posting must be|account type must be",
        "bc.account.not_postable",
        "The G/L account does not take invoice lines.",
        "Choose an account of type Posting with Direct Posting in the hub's settings, or change the account.",
    ),
    Refusal(
        r".*",
        r"blocked must (be equal to 'no'|not be .*) in g/l account|g/l account .*is blocked",
        "bc.account.blocked",
        "The G/L account is blocked in Business Central.",
        "Unblock the account, or choose another one in the hub's settings; then replay.",
    ),
    Refusal(
        r".*",
        r"blocked must (be equal to 'no'|not be .*) in item|item .*is blocked|cannot sell item",
        "bc.item.blocked",
        "The item is blocked in Business Central.",
        "Unblock the item, or choose another one in the hub's settings; then replay.",
    ),
    Refusal(
        r".*",
        r"\baccount .*(does not exist|cannot be found)|does not match to an? account|related table \(g/l account\)",
        "bc.account.unknown",
        "The G/L account of a line does not exist in Business Central.",
        "Correct the account number in the hub's settings, or add the account; then replay.",
    ),
    Refusal(
        r".*",
        r"\bitem .*(does not exist|cannot be found)|does not match to an? item|related table \(item\)",
        "bc.item.unknown",
        "The item of a line does not exist in Business Central.",
        "Correct the item number in the hub's settings, or add the item; then replay.",
    ),
    Refusal(
        r".*",
        r"(vat|tax)\w* (prod|product|bus|group|area|code).*(does not exist|cannot be found)|"
        r"\"?tax(Code|AreaId)\"? does not match|related table \((vat|tax)",
        "bc.tax_code.unknown",
        "The VAT or tax group does not exist in Business Central.",
        "Correct the tax code in the hub's settings, or add it in Business Central; then replay.",
    ),
    Refusal(
        r".*",
        r"has been posted and can no longer be modified",
        "bc.invoice.posted",
        "The invoice is posted in Business Central and can't be changed any more.",
        "Nothing is wrong with the posted invoice. To correct it, cancel it in Business Central.",
    ),
    Refusal(
        r".*",
        r"status must be equal to 'open'",
        "bc.invoice.released",
        "The draft is released or waits for approval in Business Central, so it can't be changed.",
        "Reopen the draft in Business Central, then replay the invoice.",
    ),
    Refusal(
        r"Application_StringExceededLength",
        r"",
        "bc.text.too_long",
        "A text is longer than its field in Business Central.",
        "Shorten it in Stripe, or let the mapping shorten it; then replay.",
    ),
    Refusal(
        r"Internal_InvalidTableRelation",
        r"",
        "bc.value.unknown",
        "A value does not exist in the table that Business Central looks it up in.",
        "Add it in Business Central, or correct the mapping; then replay.",
    ),
    Refusal(
        r"Application_FieldValidationException",
        r"",
        "bc.field.missing",
        "A field that Business Central needs is empty or has a value it does not take.",
        "Correct the field that Business Central names, then replay.",
    ),
    Refusal(
        r"BadRequest_RequiredParamNotProvided",
        r"",
        "bc.field.missing",
        "A field that Business Central needs is empty.",
        "Add the field to the mapping, then replay.",
    ),
    Refusal(
        r"Application_CallbackNotAllowed",
        r"",
        "bc.dialog.needed",
        "Business Central wants to ask a question, which it can't do here.",
        "Do the same by hand in Business Central to see the question; switch it off or ask your partner.",
    ),
    Refusal(
        r"Application_(EvaluateException|InvalidGUID)",
        r"",
        "bc.value.malformed",
        "A value does not have the form that its field in Business Central needs.",
        "Correct the mapping of the field that Business Central names, then replay.",
    ),
    Refusal(
        r"Application_FilterErrorException",
        r"",
        "bc.filter.refused",
        "Business Central can't search for this value, for example because it is longer than the field.",
        "Shorten the value in Stripe, or change the matching rules; then replay.",
    ),
    Refusal(
        r"BadRequest.*",
        r"is read-only|could not find a property named|is not editable",
        "bc.request.field_not_writable",
        "A field of the mapping does not exist in Business Central or can't be written.",
        "Remove the field from the mapping, then replay.",
    ),
    Refusal(
        r"BadRequest_InvalidOperation",
        r"",
        "bc.request.field_not_writable",
        "A field of the mapping can't be written in Business Central.",
        "Remove the field from the mapping, then replay.",
    ),
    Refusal(
        r"BadRequest_InvalidToken",
        r"",
        "bc.request.version_missing",
        "Business Central did not accept the version of the record that the hub sent.",
        _REPORT,
    ),
    Refusal(
        r"BadRequest_Method.*",
        r"",
        "bc.request.not_offered",
        "Business Central does not offer this operation.",
        _REPORT,
    ),
    Refusal(
        r"Internal_(RecordNotFound|DataNotFoundFilter)",
        r"",
        "bc.value.unknown",
        "Something that the invoice refers to does not exist in Business Central.",
        "Add it in Business Central, or correct the mapping; then replay.",
    ),
    Refusal(
        r"Application_.*",
        r"",
        "bc.rule.violated",
        "A rule in Business Central, perhaps one of an extension, does not allow this.",
        "Change what Business Central names, then replay.",
    ),
)

REFUSED_ANYHOW = Refusal(
    r".*",
    r"",
    "bc.request.refused",
    "Business Central refused the request.",
    "Change what Business Central names, then replay; if it names nothing, report the code and the request id.",
)


def find_refusal(provider_code: str, sentence: str) -> Refusal:
    """Return the first row that fits, or the one for everything else."""
    return next((row for row in REFUSALS if row.fits(provider_code, sentence)), REFUSED_ANYHOW)
