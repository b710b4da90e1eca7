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
