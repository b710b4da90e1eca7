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
    """Order fields so that each country comes before city, state and post code of its address: a change clears them."""
    ordered: dict[str, Any] = {}
    for name, value in fields.items():
        country = _find_country(name)
        if country in fields:
            ordered.setdefault(country, fields[country])
        ordered.setdefault(name, value)
    return ordered


def _find_country(name: str) -> str:
    """Return the field that clears this one when it changes: `shipToCountry` for `shipToCity`; empty if none does."""
    side = next((one for one in ("sellTo", "billTo", "shipTo") if name.startswith(one)), "")
    part = name.removeprefix(side)
    if part in {"City", "State", "PostCode"}:
        return f"{side}Country"
    return "country" if name in {"city", "state", "postalCode"} else ""
