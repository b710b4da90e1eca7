"""Number series: the next number, and why there may be none (codeunit No. Series)."""

from dataclasses import dataclass
from datetime import date

from simulators.business_central.errors import dialog, test_field


@dataclass(slots=True)
class NumberSeries:
    """A number series with one line; `manual` allows clients to choose numbers themselves."""

    code: str
    prefix: str
    last: int = 0
    manual: bool = False
    automatic: bool = True
    """Default Nos."""
    ending: int | None = None
    """The last number that may be assigned."""
    starting_date: str = ""
    date_order: bool = False
    """No number on a date before the last one's."""
    last_date: str = ""
    named: bool = True
    """Whether the set-up names this series at all."""

    def check(self, day: str) -> None:
        """Refuse where no number can be assigned on this day."""
        self.check_named()
        if not self.automatic:
            raise dialog(
                "It is not possible to assign numbers automatically. If you want the program to assign numbers "
                f"automatically, please activate Default Nos. in No. Series {self.code}."
            )
        if self.starting_date and day < self.starting_date:
            raise dialog(f"You cannot assign new numbers from the number series {self.code} on {_shown(day)}.")
        if self.date_order and day < self.last_date:
            text = f"You cannot assign new numbers from the number series {self.code} on a date before"
            raise dialog(f"{text} {_shown(self.last_date)}.")
        if self.ending is not None and self.last >= self.ending:
            raise dialog(
                f"You cannot assign numbers greater than {self.prefix}{self.ending} from the number series "
                f"{self.code}. No. assigned: {self.prefix}{self.last + 1}"
            )

    def check_named(self) -> None:
        """Refuse where the set-up names no series."""
        if not self.named:
            field = f"{_SETUP_FIELDS.get(self.code, self.code)} Nos."
            raise test_field(field, "Sales & Receivables Setup", "Primary Key=")

    def put_back(self, last: int, last_date: str) -> None:
        """Forget the numbers drawn since."""
        self.last, self.last_date = last, last_date

    def check_manual(self) -> None:
        """Refuse a client-chosen number where the series does not allow one."""
        if not self.manual:
            raise dialog(
                "You may not enter numbers manually. If you want to enter numbers manually, "
                f"please activate Manual Nos. in No. Series {self.code}."
            )

    def take(self, day: str) -> str:
        """Draw the next number."""
        self.check(day)
        self.last += 1
        self.last_date = max(self.last_date, day)
        return f"{self.prefix}{self.last}"


_SETUP_FIELDS = {
    "CUST": "Customer",
    "S-INV": "Invoice",
    "S-INV+": "Posted Invoice",
    "S-CR": "Credit Memo",
    "S-CR+": "Posted Credit Memo",
}


def _shown(day: str) -> str:
    return f"{date.fromisoformat(day):%m/%d/%y}"
