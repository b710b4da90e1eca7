"""How the simulator reads what is open about Business Central's answers: one switch for each (BC facts §19, §20)."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

_CHOICES: dict[str, tuple[Any, ...]] = {
    "nested": ("asked", "always", "never"),
    "totals": ("after", "header"),
    "lines": ("after", "none", "blank"),
    "order": ("body", "page"),
    "deep_insert": ("whole", "parts"),
    "decimals": ("short", "binary"),
    "location": (True, False),
    "statuses": (),
}
_ERRORS = range(400, 600)


@dataclass(slots=True)
class Readings:
    """One way to read each open point; the first of the choices is the built-in one."""

    nested: str = "asked"
    """Whether a POST answers what was nested in it: where `asked` by $expand, `always` or `never`."""
    totals: str = "after"
    """Header, totals and etag in the answer to a deep insert: `after` the lines, or of the empty `header`."""
    lines: str = "after"
    """Nested lines in that answer: as they are `after`, `none` (an empty list), or `blank` (without amounts)."""
    order: str = "body"
    """Fields are validated in the order of the JSON `body`, or of the API `page`."""
    deep_insert: str = "whole"
    """A deep insert whose line is refused leaves nothing (`whole`), or header and earlier lines (`parts`)."""
    decimals: str = "short"
    """Amounts as 19.99, or with all 17 digits of the `binary` number: 19.989999999999998."""
    location: bool = True
    """Whether a 201 has a Location header."""
    statuses: dict[str, int] = field(default_factory=dict[str, int])
    """HTTP status by error code, where it shall be another one: `{"BadRequest_InvalidToken": 428}`."""

    def change(self, given: dict[str, Any]) -> dict[str, Any]:
        """Take new choices over and return all; raises ValueError, and changes nothing, for one that is unknown."""
        for name, value in given.items():
            _check(name, value)
        for name, value in given.items():
            setattr(self, name, value)
        return asdict(self)

    def reset(self) -> dict[str, Any]:
        """Go back to the built-in choices."""
        return self.change({entry.name: getattr(Readings(), entry.name) for entry in fields(Readings)})


def _check(name: str, value: Any) -> None:
    if name not in _CHOICES:
        raise ValueError(f"unknown answer {name}: there are {', '.join(_CHOICES)}")
    if name == "statuses":
        if not all(status in _ERRORS for status in value.values()):
            raise ValueError("statuses are HTTP statuses of errors by error code")
    elif value not in _CHOICES[name]:
        raise ValueError(f"{name} is one of {_CHOICES[name]}")
