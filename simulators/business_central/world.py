"""All tenants and environments behind one server, the apps that may sign in, and the switches of the simulation."""

from dataclasses import dataclass, field

from simulators.business_central.clock import Clock, Ids
from simulators.business_central.company import Company
from simulators.business_central.store import Core


@dataclass(slots=True)
class App:
    """One Entra app registration; `registered` tells whether Business Central knows it too (BC facts §2)."""

    tenant: str
    client_id: str
    client_secret: str
    registered: bool = True
    secret_expired: bool = False
    public: bool = False
    redirect_uris: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Switches:
    """What the admin API can flip."""

    outage: bool = False
    hide_drafts: set[str] = field(default_factory=set[str])
    hide_posted: set[str] = field(default_factory=set[str])


class World:
    """The state of the whole simulation."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ids = Ids()
        self.core = Core(self.clock, self.ids)
        self.environments: dict[tuple[str, str], dict[str, Company]] = {}
        self.tenants: dict[str, str] = {}
        self.apps: dict[tuple[str, str], App] = {}
        self.switches = Switches()

    def add_tenant(self, tenant: str, domain: str = "") -> None:
        """Make a tenant known by its GUID, and by a domain name if it has one."""
        self.tenants[tenant.lower()] = tenant.lower()
        if domain:
            self.tenants[domain.lower()] = tenant.lower()

    def find_tenant(self, name: str) -> str | None:
        """Return the tenant's GUID for a GUID or domain."""
        return self.tenants.get(name.lower())

    def add_company(self, tenant: str, environment: str, company: Company) -> None:
        """Place a company; one of the same name is replaced."""
        companies = self.environments.setdefault((tenant.lower(), environment.lower()), {})
        for key in [key for key, old in companies.items() if old.name == company.name]:
            del companies[key]
        companies[company.id] = company

    def companies(self) -> list[Company]:
        """Return all companies of all environments."""
        return [company for companies in self.environments.values() for company in companies.values()]
