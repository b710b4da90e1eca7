"""Stripe's currencies: exponents that differ from ISO, special cases, minimum charges (Stripe facts §32-§36)."""

from decimal import ROUND_HALF_UP, Decimal

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
# Two decimals on the wire, but whole units only: 5 UGX is 500 (facts §33).
WHOLE_UNITS_OF_TWO = frozenset({"ugx", "isk"})
_TWO_DECIMAL = frozenset(
    (
        "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop"
        " crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr isk jmd kes"
        " kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd"
        " pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd"
        " tzs uah ugx usd uyu uzs wst xcd yer zar zmw"
    ).split()
)
_KNOWN = ZERO_DECIMAL | THREE_DECIMAL | _TWO_DECIMAL
# In minor units, https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
_MINIMUM_CHARGE = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip


def is_known_currency(code: str) -> bool:
    """Tell whether Stripe bills in this lower-case code."""
    return code in _KNOWN


def payable_step(code: str) -> int:
    """Return the step a payment moves in: 100 for UGX and ISK, 10 where the third decimal must be 0, else 1."""
    if code in WHOLE_UNITS_OF_TWO:
        return 100
    return 10 if code in THREE_DECIMAL else 1


def minimum_charge(code: str) -> int:
    """Return the least amount Stripe charges; below it an invoice is settled through the balance (facts §26)."""
    return _MINIMUM_CHARGE.get(code, 0)


def round_half_up(amount: Decimal) -> int:
    """Round to whole minor units the way Stripe does (facts §24)."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def round_to_payable(amount: int, code: str) -> int:
    """Round to what can be paid in this currency."""
    step = payable_step(code)
    return amount if amount % step == 0 else round_half_up(Decimal(amount) / step) * step
