"""An entry of the catalogue, and the places where people mend things."""

from dataclasses import dataclass
from enum import StrEnum

WAIT = "Nothing: the hub tries again by itself."
"""The fix of what passes."""


class Page(StrEnum):
    """Where to go. In Business Central, the name to type into its search; of the hub, the command."""

    BC_ACCOUNTING_PERIODS = "Business Central: Accounting Periods"
    BC_API_SETUP = "Business Central: API Setup"
    BC_CHART_OF_ACCOUNTS = "Business Central: Chart of Accounts"
    BC_COUNTRIES = "Business Central: Countries/Regions"
    BC_CREDIT_MEMOS = "Business Central: Sales Credit Memos"
    BC_CURRENCIES = "Business Central: Currencies"
    BC_CUSTOMERS = "Business Central: Customers"
    BC_DIMENSIONS = "Business Central: Dimensions"
    BC_ENTRA_APPLICATIONS = "Business Central: Microsoft Entra Applications"
    BC_GENERAL_LEDGER_SETUP = "Business Central: General Ledger Setup, User Setup"
    BC_ITEMS = "Business Central: Items"
    BC_LOCATIONS = "Business Central: Locations"
    BC_NUMBER_SERIES = "Business Central: No. Series"
    BC_PAYMENT_METHODS = "Business Central: Payment Methods"
    BC_PAYMENT_TERMS = "Business Central: Payment Terms"
    BC_POST_CODES = "Business Central: Post Codes"
    BC_POSTED_INVOICES = "Business Central: Posted Sales Invoices"
    BC_POSTING_SETUP = "Business Central: VAT Posting Setup, General Posting Setup"
    BC_RESOURCES = "Business Central: Resources"
    BC_SALES_INVOICES = "Business Central: Sales Invoices"
    BC_SALES_SETUP = "Business Central: Sales & Receivables Setup"
    BC_SALESPEOPLE = "Business Central: Salespeople/Purchasers"
    BC_SHIPMENT_METHODS = "Business Central: Shipment Methods"
    BC_UNITS_OF_MEASURE = "Business Central: Units of Measure"
    BC_VAT_GROUPS = "Business Central: VAT Product Posting Groups"
    BC_ADMIN_CENTER = "Business Central admin center: Environments"
    ENTRA_APPS = "Microsoft Entra: App registrations"
    ENTRA_USERS = "Microsoft Entra: Users"
    STRIPE_CUSTOMER = "Stripe: the customer"
    STRIPE_INVOICE = "Stripe: the invoice"
    STRIPE_KEYS = "Stripe: Developers, API keys"
    HUB_CONNECTIONS = "hub connections add"
    HUB_DEAD = "hub dead list"
    HUB_DOCTOR = "hub doctor"
    HUB_ENVIRONMENT = "the services' environment: deploy/config.example.env"
    HUB_REPLAY = "hub replay"
    HUB_SETTINGS = "hub settings export, hub settings import"
    HUB_TOPICS = "hub topics apply"
    HUB_USAGE = "hub usage"
    HUB_WAITING = "hub waiting"
    SUPPORT = "the people who maintain the hub"


@dataclass(frozen=True)
class Entry:
    """What a code means to a person.

    `code` may hold `*` for one word of it (`stripe.*.missing`). `cause` and `fix` are whole sentences; the error itself
    names the invoice and the values.
    """

    code: str
    cause: str
    fix: str
    page: Page
