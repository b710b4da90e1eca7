"""What the client returns beyond `schemas.stripe_objects`."""

from dataclasses import dataclass

from pydantic import Field

from schemas.stripe_objects import StripeObject


@dataclass(frozen=True)
class StripeAccount:
    """Whom a key belongs to, and in which mode it works."""

    id: str
    livemode: bool
    name: str | None = None
    country: str | None = None
    time_zone: str | None = None
    """Of its dashboard, by IANA name."""


@dataclass(frozen=True)
class MetadataWritten:
    """The invoice's whole metadata after a write, the merchant's own keys included."""

    metadata: dict[str, str]
    request_id: str | None


class MetadataBody(StripeObject):
    """An object of which only the metadata is read."""

    metadata: dict[str, str] = Field(default_factory=dict)


class BusinessProfile(StripeObject):
    """How the business calls itself towards customers."""

    name: str | None = None


class DashboardSettings(StripeObject):
    """How the dashboard shows the account."""

    timezone: str | None = None


class AccountSettings(StripeObject):
    """The account's settings, as far as they are read."""

    dashboard: DashboardSettings | None = None


class AccountBody(StripeObject):
    """The account as Stripe shows it; it does not tell its mode."""

    id: str = Field(pattern=r"^acct_")
    country: str | None = None
    business_profile: BusinessProfile | None = None
    settings: AccountSettings | None = None

    def find_name(self) -> str | None:
        """Return a name to show to people, if the account has one."""
        return self.business_profile.name if self.business_profile else None

    def find_time_zone(self) -> str | None:
        """Return the time zone of its dashboard, if it shows one."""
        dashboard = self.settings.dashboard if self.settings else None
        return dashboard.timezone if dashboard else None
