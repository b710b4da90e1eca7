"""The Post Code table, and what validating a post code makes of city, county and country (PostCode.Table.al)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simulators.business_central.values import raise_case


@dataclass(frozen=True, slots=True)
class PostCode:
    """One row: a code may have several cities, and codes of several countries may be alike."""

    code: str
    city: str
    country: str = ""
    county: str = ""


class PostCodeTable:
    """All post codes of a company, in the order of their key: code, then city."""

    def __init__(self) -> None:
        self._rows: dict[str, list[PostCode]] = {}

    def add(self, rows: Iterable[PostCode]) -> None:
        """Add rows; one of the same code and city is replaced."""
        for row in rows:
            others = [other for other in self._rows.get(row.code, ()) if other.city != row.city]
            self._rows[row.code] = sorted([*others, row], key=lambda entry: raise_case(entry.city))

    def find(self, code: str, city: str, country: str) -> PostCode | None:
        """Return what ValidatePostCode takes: of this country and city where there is one, else of ANY."""
        found = list(self._matching(code))
        if country:
            found = [row for row in found if row.country == country] or found
        if city:
            found = [row for row in found if raise_case(row.city) == raise_case(city)] or found
        return found[0] if found else None

    def _matching(self, code: str) -> Iterator[PostCode]:
        if code.find("*") != len(code) - 1:
            yield from self._rows.get(code, ())
            return
        for known in sorted(self._rows):
            if known.startswith(code[:-1]):
                yield from self._rows[known]


def read_post_codes(country: str, text: str) -> Iterator[PostCode]:
    """Read a list such as `2000=Frederiksberg; 1500-1799=København V; FL 37125=Miami|FL`."""
    for part in text.split(";"):
        codes, _, place = " ".join(part.split()).partition("=")
        city, _, county = place.partition("|")
        for code in _spread(codes):
            yield PostCode(code, city, country, county)


def _spread(codes: str) -> Iterable[str]:
    first, dash, last = codes.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and len(first) == len(last)):
        return [codes]
    return (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
