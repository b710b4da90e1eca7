"""A record being filled in: each field with its value and where it came from, in the order in which it is sent.

The order matters: Business Central validates fields one after another, and a later one may overwrite earlier results.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Sheet:
    """The fields of one record."""

    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    sources: dict[str, str] = field(default_factory=dict[str, str])

    def put(self, name: str, value: Any, source: str) -> None:
        """Fill a field in; a second time it is changed where it stands."""
        self.fields[name] = value
        self.sources[name] = source

    def put_all(self, values: Mapping[str, Any], source: str) -> None:
        """Fill several fields in from one source."""
        for name, value in values.items():
            self.put(name, value, source)


def put_countries_first(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Order fields so that each country comes before what Business Central judges or clears by it.

    Whether it validates in the order of the body or of its page is open (BC facts 19); its pages have the tax number
    after the country too, so this order is right either way. A number before it is checked against the company's own
    country, and refused.
    """
    ordered: dict[str, Any] = {}
    for name, value in fields.items():
        country = get_country_field(name)
        if country in fields:
            ordered.setdefault(country, fields[country])
        ordered.setdefault(name, value)
    return ordered


def get_country_field(name: str) -> str:
    """Return the country that a field depends on: `shipToCountry` for `shipToCity`; empty if on none."""
    side = get_side(name)
    if side:
        return f"{side}Country" if name.removeprefix(side) in {"City", "State", "PostCode"} else ""
    return "country" if name in {"city", "state", "postalCode", "taxRegistrationNumber"} else ""


def get_side(name: str) -> str:
    """Return whose address a field of a document is part of; empty for any other field, and for customers."""
    return next((one for one in ("sellTo", "billTo", "shipTo") if name.startswith(one)), "")
