"""The simulator's time and its ids; both can be steered, so that runs are reproducible."""

import random
import time
from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Wall time plus an offset that the admin API may push forward."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Return seconds since 1970."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the time forward (or back)."""
        self._offset += seconds

    def today(self) -> date:
        """Return the work date, UTC."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    def stamp(self) -> str:
        """Return the time as an Edm.DateTimeOffset with milliseconds."""
        return (_EPOCH + timedelta(milliseconds=int(self.now() * 1000))).isoformat(timespec="milliseconds")[:-6] + "Z"


class Ids:
    """GUIDs and coin flips from one seeded generator."""

    def __init__(self, seed: int | None = None) -> None:
        self.rng = random.Random(seed)

    def guid(self) -> str:
        """Return a GUID in its wire form, version 4."""
        digits = f"{self.rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
