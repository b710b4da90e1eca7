"""Business Central's own error codes and sentences, sorted into the hub's codes: one table, read from the top.

What a code means, and what to do about it, stands in `schemas/catalogue/business_central.py`. Sentences are matched in
English, which the client pins by `Accept-Language: en-US`. Add a row when a refusal turns up as `bc.rule.violated` or
`bc.request.refused` and a better fix can be named.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """One row: what to look for, and which code it is.

    `provider_code` and `sentence` are regular expressions (match and search); both must fit.
    """

    provider_code: str
    sentence: str
    code: str

    def fits(self, provider_code: str, sentence: str) -> bool:
        """Tell whether this row explains the provider's answer."""
        return bool(
            re.fullmatch(self.provider_code, provider_code) and re.search(self.sentence, sentence, re.IGNORECASE)
        )


REFUSALS: tuple[Refusal, ...] = (
    Refusal(r".*", r"customer .* is blocked|blocked with type", "bc.customer.blocked"),
    Refusal(r".*", r"posting group.*must (have a value|be filled).* in customer\b", "bc.customer.posting_group"),
    Refusal(
        r".*",
        r"posting group.*must (have a value|be filled)|posting group.*(cannot|can't) be (zero or )?empty",
        "bc.posting_group.missing",
    ),
    Refusal(
        r".*",
        r"(vat|general|gen\.|customer|inventory) posting (group|setup).*does not exist",
        "bc.posting_setup.missing",
    ),
    Refusal(r".*", r"\"?customerNumber\"? or a \"?customerId\"? must be provided", "bc.customer.missing"),
    Refusal(
        r".*",
        r"\"?customer(Id|Number)\"? does not match to a customer|the customer does not exist|"
        r"customer (cannot be found|values do not match)",
        "bc.customer.unknown",
    ),
    Refusal(r".*", r"currency exchange rate|currency factor must have a value", "bc.currency.rate_missing"),
    Refusal(
        r".*",
        r"\"?currency(Code|Id)\"? does not match to a currency|the currency does not exist",
        "bc.currency.unknown",
    ),
    Refusal(r".*", r"enter numbers manually|manual nos\.", "bc.customer.number_series"),
    Refusal(r"Internal_EntityWithSameKeyExists", r"", "bc.record.exists"),
    Refusal(r".*", r"direct posting must be|account type must be", "bc.account.not_postable"),
    Refusal(
        r".*",
        r"blocked must (be equal to 'no'|not be .*) in g/l account|g/l account .*is blocked",
        "bc.account.blocked",
    ),
    Refusal(
        r".*",
        r"blocked must (be equal to 'no'|not be .*) in item|item .*is blocked|cannot sell item",
        "bc.item.blocked",
    ),
    Refusal(
        r".*",
        r"\baccount .*(does not exist|cannot be found)|does not match to an? account|related table \(g/l account\)",
        "bc.account.unknown",
    ),
    Refusal(
        r".*",
        r"\bitem .*(does not exist|cannot be found)|does not match to an? item|related table \(item\)",
        "bc.item.unknown",
    ),
    Refusal(
        r".*",
        r"(vat|tax)\w* (prod|product|bus|group|area|code).*(does not exist|cannot be found)|"
        r"\"?tax(Code|AreaId)\"? does not match|related table \((vat|tax)",
        "bc.tax_code.unknown",
    ),
    Refusal(r".*", r"has been posted and can no longer be modified", "bc.invoice.posted"),
    Refusal(r".*", r"status must be equal to 'open'", "bc.invoice.released"),
    Refusal(r"Application_StringExceededLength", r"", "bc.text.too_long"),
    Refusal(r"Internal_InvalidTableRelation", r"", "bc.value.unknown"),
    Refusal(r"Application_FieldValidationException", r"", "bc.field.missing"),
    Refusal(r"BadRequest_RequiredParamNotProvided", r"", "bc.field.missing"),
    Refusal(r"Application_CallbackNotAllowed", r"", "bc.dialog.needed"),
    Refusal(r"Application_(EvaluateException|InvalidGUID)", r"", "bc.value.malformed"),
    Refusal(r"Application_FilterErrorException", r"", "bc.filter.refused"),
    Refusal(
        r"BadRequest.*",
        r"is read-only|could not find a property named|is not editable",
        "bc.request.field_not_writable",
    ),
    Refusal(r"BadRequest_InvalidOperation", r"", "bc.request.field_not_writable"),
    Refusal(r"BadRequest_InvalidToken", r"", "bc.request.version_missing"),
    Refusal(r"BadRequest_Method.*", r"", "bc.request.not_offered"),
    Refusal(r"Internal_(RecordNotFound|DataNotFoundFilter)", r"", "bc.value.unknown"),
    Refusal(r"Application_.*", r"", "bc.rule.violated"),
)

REFUSED_ANYHOW = Refusal(r".*", r"", "bc.request.refused")


def find_refusal(provider_code: str, sentence: str) -> Refusal:
    """Return the first row that fits, or the one for everything else."""
    return next((row for row in REFUSALS if row.fits(provider_code, sentence)), REFUSED_ANYHOW)
