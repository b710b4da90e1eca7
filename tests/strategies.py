"""Hypothesis strategies for what Stripe may send."""

from decimal import Decimal

from hypothesis import strategies as st

from schemas.stripe_objects import Line
from tests.builders import build_line

# Text of any kind: marks, joiners, skin tones, flags, controls, what is not seen or has no form, and what is common.
_AWKWARD = st.sampled_from(
    [
        "e\u0301",
        "\u0323",
        "\u200d",
        "👨\u200d👩\u200d👧",
        "👍🏽",
        "🇩🇰",
        "🏴\U000e0067\U000e0062\U000e007f",
        "\u1112\u1161\u11ab",
        "क्षि",
        "שלום",
        "مرحبا",
        "\u202e",
        "\u2066",
        "\u200f",
        "\u200b",
        "\u00a0",
        "\u3000",
        "\ufeff",
        "\u00ad",
        "\ufe0f",
        "\n",
        "\r\n",
        "\t",
        "\x00",
        "\x85",
        "\u2028",
        "\ud800",
        "\uffff",
        "\U0001fffe",
        "  ",
        "ﬁ",
        "ß",
        "Å",
        "'",
        '"',
        "&%#+*?/\\",
        "ext. 12",
    ]
)
TEXTS = st.lists(st.one_of(st.characters(codec=None), _AWKWARD, st.text("ab ", max_size=5)), max_size=60).map("".join)

AMOUNTS = st.integers(min_value=-10_000_000, max_value=10_000_000)
QUANTITIES = st.one_of(
    st.none(), st.integers(0, 5000).map(Decimal), st.decimals(0, 5000, places=6, allow_nan=False, allow_infinity=False)
)
# Stripe keeps unit amounts to twelve decimals of the minor unit.
UNITS = st.one_of(st.none(), st.decimals(0, 1_000_000, places=3, allow_nan=False, allow_infinity=False))


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Build a line whose amount follows from its price or, as with tiers and prorations, does not."""
    quantity, unit, amount = draw(QUANTITIES), draw(UNITS), draw(AMOUNTS)
    if quantity is not None and unit is not None and draw(st.booleans()):
        amount = int((quantity * unit).to_integral_value())
    return build_line(
        amount,
        quantity=None if quantity is None else int(quantity),
        unit="" if unit is None else str(unit),
        quantity_decimal=None if quantity is None else str(quantity),
        currency=draw(st.sampled_from(["eur", "jpy", "kwd"])),
    )


# What people can type in Stripe: anything that UTF-8 can carry.
TYPED = TEXTS.map(lambda text: "".join(char for char in text if not "\ud800" <= char <= "\udfff"))
