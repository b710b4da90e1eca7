"""Who buys in `hub demo --strict`: customers of twelve countries as merchants really have them, and who they are.

Each buyer has one identity, by its name. Business Central knows some of them already; some share a mailbox with another
company, have no address, a post code that another country has too, or a tax number that Business Central writes
otherwise. So a draft for the wrong one can be told from outside.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Home:
    """Where buyers live: Stripe's country, and what names, places and tax numbers look like there."""

    country: str
    forms: tuple[str, ...]
    """Legal forms, `{}` for the name."""
    places: tuple[tuple[str, str], ...]
    """Post code and city; some of the codes mean another place in Denmark, whose codes the company knows."""
    tax_type: str
    tax_numbers: tuple[str, ...]
    """As Stripe keeps them."""


HOMES: tuple[Home, ...] = (
    Home("DK", ("{} ApS", "{} A/S"), (("2100", "København Ø"), ("8000", "Aarhus C")), "eu_vat", ("DK1234567",)),
    Home("SE", ("{} AB",), (("111 22", "Stockholm"), ("411 03", "Göteborg")), "eu_vat", ("SE5566778899",)),
    Home("NO", ("{} AS",), (("2000", "Lillestrøm"), ("5000", "Bergen"), ("9000", "Tromsø")), "no_vat", ("98765432",)),
    Home("DE", ("{} GmbH", "{} AG"), (("10115", "Berlin"), ("80331", "München")), "eu_vat", ("DE12345678",)),
    Home("GB", ("The {} Ltd", "{} plc"), (("SW1A 1AA", "London"), ("M1 1AE", "Manchester")), "gb_vat", ("GB98076068",)),
    # Northern Ireland: an address of Great Britain, and a number of its own.
    Home("GB", ("{} Belfast Ltd",), (("BT1 5GS", "Belfast"),), "eu_vat", ("XI12345678",)),
    Home("FR", ("{} SARL", "SAS {}"), (("75001", "Paris"), ("69001", "Lyon")), "eu_vat", ("FRAB12345678",)),
    Home("NL", ("{} B.V.", "Stichting {}"), (("1012 AB", "Amsterdam"),), "eu_vat", ("NL12345678",)),
    Home("GR", ("{} A.E.",), (("104 31", "Athina"),), "eu_vat", ("EL12345678",)),
    Home("CH", ("{} AG", "{} Sàrl"), (("8000", "Zürich"), ("1000", "Lausanne")), "ch_vat", ("CHE-123.456.78",)),
    Home("US", ("{} Inc.", "{} LLC"), (("10001", "New York"),), "us_ein", ("12-345678",)),
    Home("IT", ("{} S.r.l.",), (("00184", "Roma"),), "eu_vat", ("IT1234567890",)),
)
_FIRST = "Nord Syd Havblik Kirke Møller Blue Red Alpha Linde Water Sol Vest Bjerg Grøn Silver Oak Stein Rosen".split()
_SECOND = "byg invest data works farm ship media print glas tools foods travel energi design transport tekstil".split()
_SHARED_MAILBOX = "bogholderi@kontor.example"


@dataclass(frozen=True)
class Buyer:
    """One company that buys, as Stripe knows it."""

    name: str
    email: str
    country: str
    postal_code: str
    city: str
    tax_type: str
    tax_number: str
    has_address: bool
    number: str
    """Of the customer that Business Central has for it already; empty: none."""

    def build_stripe(self) -> dict[str, Any]:
        """Write it as the form that creates it in Stripe."""
        form: dict[str, Any] = {"name": self.name, "email": self.email}
        if self.has_address:
            form |= {
                "address[line1]": "Main Street 1",
                "address[city]": self.city,
                "address[postal_code]": self.postal_code,
                "address[country]": self.country,
            }
        return form

    def build_bc(self) -> dict[str, Any]:
        """Write it as a record that Business Central holds, entered there by hand."""
        return {"number": self.number, "displayName": self.name, "email": self.email, "country": self.country}


def invent_buyers(seed: int, count: int) -> tuple[Buyer, ...]:
    """Invent buyers, the same for a seed; every home has some. No two have one name."""
    dice = random.Random(seed)
    names = _invent_names(dice)
    return tuple(_invent_buyer(dice, HOMES[at % len(HOMES)], next(names), at) for at in range(count))


def _invent_names(dice: random.Random) -> Iterator[str]:
    pairs = [f"{first}{second}" for first in _FIRST for second in _SECOND]
    dice.shuffle(pairs)
    yield from (pair.capitalize() for pair in pairs)


def _invent_buyer(dice: random.Random, home: Home, name: str, at: int) -> Buyer:
    postal_code, city = dice.choice(home.places)
    mark = f"{at:04d}"
    shares = dice.random() < 0.15  # noqa: PLR2004 - about one in seven
    stem = dice.choice(home.tax_numbers)
    has_number, has_address, is_known = dice.random() < 0.5, dice.random() < 0.85, dice.random() < 0.2  # noqa: PLR2004
    tail = "MVA" if home.tax_type == "no_vat" else "B12" if stem.startswith("NL") else ""
    return Buyer(
        name=dice.choice(home.forms).format(name),
        email=_SHARED_MAILBOX if shares else f"ap{mark}@{name.lower()}.example",
        country=home.country,
        postal_code=postal_code,
        city=city,
        tax_type=home.tax_type,
        tax_number=f"{stem}{at % 10}{tail}" if has_number else "",
        has_address=has_address,
        number=f"K{mark}" if is_known and not shares else "",
    )


def list_known(buyers: Sequence[Buyer]) -> list[Mapping[str, Any]]:
    """List the customers that Business Central has before the demo: buyers of old, and one with the shared mailbox."""
    stranger = {
        "number": "K9999",
        "displayName": "Hansen Invest ApS",
        "email": _SHARED_MAILBOX,
        "country": "DK",
    }
    return [*(one.build_bc() for one in buyers if one.number), stranger]
