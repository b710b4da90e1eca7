"""Business Central's own error codes and sentences, sorted into the hub's codes: tables, read from the top.

What a code means, and what to do about it, stands in `schemas/catalogue/business_central.py`. Sentences are matched in
English, which the client pins by `Accept-Language: en-US`; they are those of Microsoft's base application and platform.
Add a row when a refusal turns up as `bc.rule.violated` or `bc.request.refused` and a better fix can be named.

The text is foreign and may be of any length: callers cut it to `LONGEST_SENTENCE`, and no pattern has a gap without a
bound, so that the time a text takes does not depend on what stands in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LONGEST_SENTENCE: Final = 2000
"""Characters of a sentence that are looked at: the longest of Business Central's own lists formats of tax numbers."""


@dataclass(frozen=True)
class Refusal:
    """One row: the hub's code, and what to look for.

    `sentence` and `provider_code` are regular expressions (search and match); both must fit.
    """

    code: str
    sentence: str = ""
    provider_code: str = ".*"

    def fits(self, provider_code: str, sentence: str) -> bool:
        """Tell whether this row explains the provider's answer."""
        return bool(
            re.fullmatch(self.provider_code, provider_code) and re.search(self.sentence, sentence, re.IGNORECASE)
        )


# By the provider's code, where its sentence quotes what was sent, and so could say anything.
STATED: tuple[Refusal, ...] = (
    Refusal("bc.record.exists", provider_code=r"Internal_EntityWithSameKeyExists"),
    Refusal("bc.text.too_long", provider_code=r"Application_StringExceededLength"),
    Refusal("bc.value.malformed", provider_code=r"Application_(EvaluateException|InvalidGUID)"),
    Refusal("bc.filter.refused", provider_code=r"Application_FilterErrorException"),
    Refusal("bc.dialog.needed", provider_code=r"Application_CallbackNotAllowed"),
    Refusal("bc.request.field_not_writable", provider_code=r"BadRequest_InvalidOperation"),
    Refusal("bc.request.version_missing", provider_code=r"BadRequest_InvalidToken"),
    Refusal("bc.request.not_offered", provider_code=r"BadRequest_Method.*"),
)

# By what the sentence says. The more special stands first.
SENTENCES: tuple[Refusal, ...] = (
    # Tax number, phone, e-mail, post code, names: what a customer's card takes.
    Refusal("bc.tax_number.taken", r"vat registration number has already been entered"),
    Refusal(
        "bc.tax_number.format",
        # Of a customer that does not exist yet, Business Central says no more than which formats it takes.
        r"not in agreement with the format specified for|following formats are acceptable|"
        r"is not a valid (rfc|curp|vat|fiscal)|"
        r"(vat|tax|fiscal|enterprise|registration)( registration| reg\.)? (number|no\.|code|id)[ \w.]{0,20} "
        r"(is (not valid|not a valid|invalid|incorrect)|must be valid)|"
        r"must specify the (eu )?country(/region code)?[ \w]{0,20} (for the country )?that issued the vat",
    ),
    Refusal("bc.phone.format", r"phone no\.? must not contain letters|cannot enter letters in this field"),
    Refusal("bc.email.format", r"e-?mail( address)? .{0,200}is not valid|not a valid e-?mail"),
    Refusal("bc.post_code.refused", r"(post|zip) code.{0,80}(not valid|invalid|must be|must not be|already exists)"),
    # Blocked.
    Refusal("bc.salesperson.blocked", r"(salesperson|purchaser)\b.{0,80} is blocked|must not be true for salesperson"),
    Refusal("bc.resource.blocked", r"resource .{0,60} is blocked|blocked must .{0,40} in resource\b"),
    Refusal(
        "bc.customer.privacy_blocked",
        r"customer .{0,80} is blocked for privacy|privacy blocked must .{0,40} customer",
    ),
    Refusal(
        "bc.customer.blocked", r"customer .{0,80} is blocked|blocked with type|blocked must .{0,40} in customer[:. ]"
    ),
    Refusal("bc.posting_setup.blocked", r"blocked must .{0,40} in (vat|general) posting setup"),
    Refusal(
        "bc.dimension.blocked",
        r"dimensions? .{0,120}(is blocked|can't be used concurrently)|combination of dimensions .{0,120} is blocked|"
        r"blocked must .{0,40} in dimension",
    ),
    Refusal("bc.account.blocked", r"blocked must .{0,40} in g/l account|g/l account .{0,60}is blocked"),
    Refusal(
        "bc.item.blocked",
        r"blocked must .{0,40} in item\b|\bitem .{0,60}is blocked|cannot sell (item|item variant|resource)\b",
    ),
    # Accounts, posting groups and their set-up.
    Refusal("bc.account.not_postable", r"direct posting must be|account type must be|\bis not set for the .{0,100}g/l"),
    Refusal("bc.posting_setup.account_missing", r"account must have a value in [\w ./-]{0,40}posting (setup|group)"),
    Refusal("bc.customer.posting_group", r"posting group.{0,80}must (have a value|be filled).{0,20} in customer\b"),
    Refusal(
        "bc.posting_group.missing",
        r"posting group.{0,80}(must (have a value|be filled)|(cannot|can't) be (zero or )?empty)",
    ),
    # Dimensions.
    Refusal(
        "bc.dimension.missing",
        r"select a .{0,40}dimension|dimension .{0,120}(is required|it must have a value)|"
        r"dimension .{0,60} is the default dimension",
    ),
    Refusal(
        "bc.dimension.wrong",
        r"dimension .{0,160}(must be|must not be|is not allowed|is not the same)|"
        r"a dimension used in .{0,120} has caused",
    ),
    Refusal(
        "bc.dimension.unknown",
        r"dimension( value)? .{0,80}(can't be found|is missing|is not defined)|"
        r"is not an available .{0,40} for that dimension|values? .{0,80} refer to the same dimension",
    ),
    # Dates and numbers.
    Refusal(
        "bc.posting_date.not_allowed",
        r"not within your (company's )?(range of )?allowed (posting|vat) dates|range of allowed (posting|vat) dates|"
        r"allowed (posting|vat) dates is incorrect|allowed date range is invalid|vat .{0,40}period .{0,40}(is )?closed",
    ),
    Refusal(
        "bc.accounting_period.missing",
        r"not within an open accounting period|no accounting period within|"
        r"(accounting period|fiscal year).{0,60} (is not defined|does not exist|is closed)",
    ),
    Refusal("bc.customer.number_series", r"enter numbers manually|manual nos\."),
    Refusal("bc.number_series.exhausted", r"cannot assign numbers greater than|number series can only use up to"),
    Refusal("bc.number_series.date", r"cannot assign new numbers .{0,60} (on a date before|on \d)"),
    Refusal(
        "bc.number_series.missing",
        r"cannot assign new numbers from|assign numbers automatically|number series .{0,40} is not related|"
        r"\bnos\. must have a value|no\. series.{0,80}does not exist|default nos\. must|empty no\. series",
    ),
    Refusal("bc.document_number.mandatory", r"external document no\. must have a value"),
    Refusal("bc.document_number.taken", r"^(the )?sales (invoice|credit memo|document) .{0,60} already exists"),
    # Currency, price, unit.
    Refusal("bc.currency.rate_missing", r"currency exchange rate|(currency|exchange rate) (factor|amount) must"),
    Refusal("bc.unit_of_measure.missing", r"unit of measure( code)? must have a value"),
    Refusal("bc.price.missing", r"unit price( excl\. vat| incl\. vat)? must (have a value|be)"),
    Refusal("bc.customer.credit_limit", r"credit limit"),
    # The customer of a document.
    Refusal("bc.customer.missing", r"\"?customerNumber\"? or a \"?customerId\"? must be provided"),
    Refusal(
        "bc.customer.unknown",
        r"customer cannot be found|customer values do not match|must select an existing customer",
    ),
    Refusal("bc.item.unknown", r"must select an existing item|\bitem cannot be found"),
    Refusal("bc.currency.unknown", r"currency values do not match"),
    Refusal("bc.contact.mismatch", r"contact .{0,80} is (not related to|related to a different)"),
    Refusal("bc.responsibility_center.refused", r"identification is set ?up to process from|is set up to process from"),
    # The document's state.
    Refusal("bc.invoice.posted", r"has been posted and can no longer be modified|cannot delete posted sales"),
    Refusal(
        "bc.invoice.released",
        r"status must be equal to 'open'|status must be open|must cancel the approval process|"
        r"job queue status must|scheduled for posting",
    ),
    # Who may.
    Refusal(
        "bc.licence.missing",
        r"your (program )?licen[sc]e|(no|valid|have an?) licen[sc]e|trial (period )?(has|is) (expired|ended)",
    ),
    Refusal(
        "bc.permission.missing",
        r"permissions? prevented the action|do(es)? not have (the following |the |any |sufficient )?permission|"
        r"don't have (the |any )?permission|indirect permission",
    ),
)

# By the table in which what was named is not found.
UNKNOWN_IN: dict[str, str] = {
    "account": "bc.account.unknown",
    "area": "bc.value.unknown",
    "country/region": "bc.country.unknown",
    "currency": "bc.currency.unknown",
    "currency exchange rate": "bc.currency.rate_missing",
    "customer": "bc.customer.unknown",
    "customer posting group": "bc.posting_setup.missing",
    "dimension": "bc.dimension.unknown",
    "dimension value": "bc.dimension.unknown",
    "g/l account": "bc.account.unknown",
    "gen. business posting group": "bc.posting_setup.missing",
    "gen. product posting group": "bc.posting_setup.missing",
    "general ledger setup": "bc.setup.missing",
    "general posting setup": "bc.posting_setup.missing",
    "inventory posting group": "bc.posting_setup.missing",
    "inventory posting setup": "bc.posting_setup.missing",
    "item": "bc.item.unknown",
    "item unit of measure": "bc.unit_of_measure.unknown",
    "location": "bc.location.unknown",
    "no. series": "bc.number_series.missing",
    "no. series line": "bc.number_series.missing",
    "payment method": "bc.payment_method.unknown",
    "payment terms": "bc.payment_terms.unknown",
    "post code": "bc.post_code.refused",
    "resource": "bc.resource.unknown",
    "resource unit of measure": "bc.unit_of_measure.unknown",
    "sales & receivables setup": "bc.setup.missing",
    "salesperson/purchaser": "bc.salesperson.unknown",
    "shipment method": "bc.shipment_method.unknown",
    "source code setup": "bc.setup.missing",
    "tax area": "bc.tax_code.unknown",
    "tax group": "bc.tax_code.unknown",
    "unit of measure": "bc.unit_of_measure.unknown",
    "vat business posting group": "bc.tax_code.unknown",
    "vat posting setup": "bc.posting_setup.missing",
    "vat product posting group": "bc.tax_code.unknown",
}

# What is left, where the sentence says nothing better.
REST: tuple[Refusal, ...] = (
    Refusal("bc.text.too_long", r"length of the string is \d+, but|must not have the length more than"),
    Refusal("bc.value.unknown", provider_code=r"Internal_InvalidTableRelation"),
    Refusal(
        "bc.value.unknown", r"cannot be found in the related table|does not match to an? |do not match to a specific"
    ),
    Refusal("bc.record.exists", r"\bline already exists"),
    Refusal("bc.field.missing", provider_code=r"Application_FieldValidationException"),
    Refusal("bc.field.missing", provider_code=r"BadRequest_RequiredParamNotProvided"),
    Refusal(
        "bc.field.missing",
        r"must (have a value|be specified|be filled in|not be blank)\b|\" must be provided|the blank \"",
    ),
    Refusal(
        "bc.value.malformed",
        r"is not an option\.|is not a member of|is not a valid guid|is too large for|can't be evaluated|"
        r"cannot convert a primitive value|cannot convert the literal|must be between 0 and 100",
    ),
    Refusal(
        "bc.request.field_not_writable",
        r"is read-only|could not find a property named|is not editable|property '.{0,80}' does not exist on type",
        r"BadRequest.*",
    ),
    Refusal("bc.value.unknown", provider_code=r"Internal_(RecordNotFound|DataNotFoundFilter)"),
    Refusal("bc.rule.violated", provider_code=r"Application_.*"),
    Refusal("bc.request.refused"),
)

_TABLES = (
    re.compile(r"related table \(([^()]{1,60})\)", re.IGNORECASE),
    re.compile(
        r"^(?:the )?(?:sell-to |bill-to )?([^.\"]{1,60}?\.?[^.\"]{0,60}?) (?:does not exist|cannot be found)\b",
        re.IGNORECASE,
    ),
    re.compile(r"does not match to an? ([^.\"]{1,60})", re.IGNORECASE),
    re.compile(r"there is no ([^.\"]{1,60}\.?[^.\"]{0,60}?) within the filter", re.IGNORECASE),
)
_RECORD_BEHIND = re.compile(r"(?: with Code| No\.)? [A-Z0-9][A-Z0-9_'/-]*$")
_FIELDS = (
    re.compile(
        r"^the field (?P<field>.{1,60}?) of table (?P<table>.{1,60}?) contains a value \((?P<value>.{0,60}?)\)",
        re.IGNORECASE,
    ),
    re.compile(r"^the \"(?P<field>\w{1,60})\" does not match", re.IGNORECASE),
    re.compile(r"(?:control|property named|property) '(?P<field>\w{1,60})'", re.IGNORECASE),
    re.compile(r"for '(?P<field>\w{1,60})'\.$", re.IGNORECASE),
    re.compile(
        r"^(?P<field>[^'\"]{1,60}?) must (?:not contain|not have the length|have a value|be equal to|not be|be filled)",
        re.IGNORECASE,
    ),
    re.compile(r"^select a (?P<field>.{1,60}?) for the dimension code (?P<value>\w{1,20})", re.IGNORECASE),
)
_FORMATS = re.compile(
    r"(?:country/region code (?P<country>\w{0,10})\b.{0,20}?)?formats? are acceptable:? (?P<formats>.{1,800})",
    re.IGNORECASE,
)
_LENGTH = re.compile(r"length of the string is (?P<length>\d{1,9}), but", re.IGNORECASE)


def find_code(provider_code: str, sentence: str) -> str:
    """Choose the hub's code for a refusal.

    Args:
        provider_code: Business Central's.
        sentence: What it says, cut to `LONGEST_SENTENCE`.
    """
    return (
        _find_row((*STATED, *SENTENCES), provider_code, sentence)
        or _find_unknown(sentence)
        or _find_row(REST, provider_code, sentence)
        or REST[-1].code
    )


def _find_row(rows: Iterable[Refusal], provider_code: str, sentence: str) -> str | None:
    return next((row.code for row in rows if row.fits(provider_code, sentence)), None)


def read_facts(sentence: str) -> dict[str, str]:
    """Read what Business Central names, for the error's context.

    Returns:
        `field` (its caption, or its name in the API), `table` and `value` (a code, never what a person is called), or
        `field`, `country` and `formats` of a tax number, or the `length` of a text that is too long. What is not named
        is left out.
    """
    if match := _FORMATS.search(sentence):
        return {"field": "VAT Registration No.", **{name: text for name, text in match.groupdict().items() if text}}
    if match := _LENGTH.search(sentence):
        return match.groupdict()
    match = next((found for pattern in _FIELDS if (found := pattern.search(sentence))), None)
    return {name: text for name, text in match.groupdict().items() if text} if match else {}


def _find_unknown(sentence: str) -> str | None:
    named = (match.group(1) for pattern in _TABLES if (match := pattern.search(sentence)))
    return next((code for name in named if (code := _find_table(name))), None)


def _find_table(name: str) -> str | None:
    """Find the code of a table: alone, or with the record's code behind it (`Unit of Measure with Code BOX`)."""
    table = _RECORD_BEHIND.sub("", name).lower()
    return UNKNOWN_IN.get(name.lower()) or UNKNOWN_IN.get(table)
