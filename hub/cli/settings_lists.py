"""Names in the settings that Stripe or ISO close, and limits that can't hold: what a typing error would leave unused.

Checked when settings are given, and told by `hub connections test` and `hub doctor`; never where they are read, for
Stripe's lists grow, and settings that were saved must stay readable.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from schemas.errors import Refused
from schemas.invoice_settings import TaxabilityReason, TaxRule
from schemas.money import get_exponent
from schemas.settings import Settings

# Stripe, API version 2026-10-28.
BILLING_REASONS = (
    "automatic_pending_invoice_item_invoice",
    "manual",
    "quote_accept",
    "subscription",
    "subscription_create",
    "subscription_cycle",
    "subscription_threshold",
    "subscription_update",
    "upcoming",
)
# ISO 3166-1 alpha-2, and XK, which Stripe has too.
COUNTRIES = frozenset(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA "
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA "
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP "
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS "
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS "
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW".split()
)
# Rounding makes half a unit for each tax of a line: no invoice that people write comes to this.
_MOST_ROUNDING = 100
_CONDITIONS = ("tax_rate", "percent", "reason", "country")


def list_problems(settings: Settings) -> list[str]:
    """List what can't be meant so, a sentence each."""
    return [
        *_check_currencies("skip.currencies", settings.skip.currencies),
        *_check_currencies("skip.only_currencies", settings.skip.only_currencies),
        *_check_billing_reasons(settings.skip.billing_reasons),
        *_check_countries(settings),
        *_check_tax_rates(settings),
        *_check_order(settings.invoices.tax.rules),
        *_check_rounding(settings),
        *_check_skip(settings),
    ]


def list_dropped_rules(stored: Mapping[str, Any]) -> list[str]:
    """List tax rules of stored settings that are left out when they are read: they name a reason that no tax has.

    Earlier versions took any word. Such a rule never fitted, so the next one was taken, and its legal text is missing.
    """
    rules = stored.get("invoices", {}).get("tax", {}).get("rules", ())
    return [
        f"invoices.tax.rules, number {number}: {rule['reason']!r} is no reason of Stripe's, so this rule never fits. "
        f"{suggest(rule['reason'].lower().replace('-', '_'), get_args(TaxabilityReason))}"
        for number, rule in enumerate(rules, start=1)
        if rule.get("reason") is not None and rule["reason"] not in get_args(TaxabilityReason)
    ]


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Name what was probably meant; all there are, where they are few and none is near."""
    names = sorted(known)
    near = get_close_matches(wrong, names, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    few = names[:12]
    return (
        f"There {'is' if len(few) == 1 else 'are'}: {', '.join(few)}{' …' if len(names) > len(few) else ''}."
        if few
        else ""
    )


def _check_currencies(path: str, codes: Iterable[str]) -> Iterator[str]:
    for code in codes:
        try:
            get_exponent(code)
        except Refused:
            yield f"{path}: {code!r} is no currency of Stripe's. Write its ISO code, like EUR."


def _check_billing_reasons(reasons: Iterable[str]) -> Iterator[str]:
    for reason in reasons:
        if reason not in BILLING_REASONS:
            yield f"skip.billing_reasons: {reason!r} is none of Stripe's. {suggest(reason, BILLING_REASONS)}"


def _check_countries(settings: Settings) -> Iterator[str]:
    rules = enumerate(settings.invoices.tax.rules, start=1)
    named = [(f"invoices.tax.rules, number {number}: country", rule.country) for number, rule in rules]
    # Northern Ireland is a country of its own to tax numbers.
    customers = [country for country in settings.customers.new.by_country if country != "XI"]
    named += [("customers.new.by_country", country) for country in customers]
    named.append(("customers.new.without_country", settings.customers.new.without_country))
    for path, country in named:
        if country is not None and country not in COUNTRIES:
            yield f"{path}: {country} is no ISO code of a country: write DK for Denmark, GR for Greece, GB for the UK."


def _check_tax_rates(settings: Settings) -> Iterator[str]:
    for number, rule in enumerate(settings.invoices.tax.rules, start=1):
        if rule.tax_rate is not None and not rule.tax_rate.startswith("txr_"):
            yield (
                f"invoices.tax.rules, number {number}: tax_rate is the id of a tax rate in Stripe, txr_…, not "
                f"{rule.tax_rate!r}. For a percentage, write percent."
            )
        if rule.percent is not None and not 0 <= rule.percent <= 100:  # noqa: PLR2004 - percent
            yield f"invoices.tax.rules, number {number}: a percentage is between 0 and 100, not {rule.percent}."


def _check_order(rules: Sequence[TaxRule]) -> Iterator[str]:
    """The first rule that fits is taken: one that fits whatever a later one fits hides it."""
    for number, rule in enumerate(rules, start=1):
        hides = next((at for at, first in enumerate(rules[: number - 1], start=1) if _fits_all_of(first, rule)), None)
        if hides is not None:
            yield (
                f"invoices.tax.rules, number {number} is never taken: number {hides} fits all that it fits, and stands "
                "before it. Move the more special rule up, or take one out."
            )


def _fits_all_of(first: TaxRule, rule: TaxRule) -> bool:
    """Whether all of its conditions are left out, or the same."""
    return all(getattr(first, name) in {None, getattr(rule, name)} for name in _CONDITIONS)


def _check_rounding(settings: Settings) -> Iterator[str]:
    limit = settings.invoices.rounding.limit
    if limit is not None and limit > _MOST_ROUNDING:
        yield (
            f"invoices.rounding.limit counts minor units of the invoice's currency: {limit} is {limit / 100:.2f} EUR, "
            f"more than rounding makes, so it would hide wrong taxes. Write {_MOST_ROUNDING} at most, or leave it out: "
            "then it is what rounding can do to the invoice."
        )


def _check_skip(settings: Settings) -> Iterator[str]:
    skip = settings.skip
    both = {one.upper() for one in skip.currencies} & {one.upper() for one in skip.only_currencies}
    if both:
        yield f"skip: {', '.join(sorted(both))} stands in currencies and in only_currencies. Take it out of one."
    for customer in skip.customers:
        if "@" in customer or " " in customer.strip():
            yield f"skip.customers: {customer!r} is no id. Give the customer's id in Stripe, cus_…."
