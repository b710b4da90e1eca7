"""What was asked of Business Central and what came of it, for whoever has to find out afterwards."""

import json
from collections import deque
from typing import Any

from simulators.business_central.clock import Clock
from simulators.business_central.wire import Request

WRITES = frozenset({"POST", "PATCH", "DELETE"})
_KEPT = 50_000
_NAMING = ("externalDocumentNumber", "email", "displayName")


class Journal:
    """The last writes, each with what it names: an external document number, an e-mail address."""

    def __init__(self, clock: Clock) -> None:
        self.late = 0
        """Writes that are held back, to be carried out later."""
        self._clock = clock
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def note(self, request: Request, what: str) -> None:
        """Note that a write arrived, or was carried out."""
        path = request.path.rpartition("/")[2]
        entry = {"at": self._clock.stamp(), "request": f"{request.method} {path}", "names": _find_name(request)}
        self._entries.append(entry | {"what": what})

    def shown(self, wanted: str = "") -> list[dict[str, Any]]:
        """List the entries that name something, or all."""
        return [entry for entry in self._entries if wanted in {"", entry["names"]}]


def _find_name(request: Request) -> str:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return ""
    found = next((body[key] for key in _NAMING if body.get(key)), "") if isinstance(body, dict) else ""
    return str(found).upper()
