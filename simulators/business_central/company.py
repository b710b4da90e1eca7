"""One company's books: tables, number series, VAT posting setup, currencies, customer templates, setup switches."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from simulators.business_central.entities import ENTITIES, ZERO_GUID
from simulators.business_central.errors import ApiError, dialog, invalid_relation
from simulators.business_central.number_series import NumberSeries
from simulators.business_central.post_codes import PostCodeTable
from simulators.business_central.store import Core, Json, Row, Table
from simulators.business_central.vat import precision_of

LINE_SETS = frozenset({"salesInvoiceLines", "salesCreditMemoLines"})
_COUNTY_FORMAT = "City_x002B_County_x002B_Post_x0020_Code"
_CURRENCY_INPUT = 10  # the API cuts currencyCode to this many characters before looking it up (BC facts §8)


@dataclass(frozen=True, slots=True)
class VatSetup:
    """One cell of the VAT posting setup."""

    identifier: str
    percent: Decimal


@dataclass(frozen=True, slots=True)
class DocumentCurrency:
    """A document's currency; code "" is the local one, factor None means no exchange rate.

    Amounts are rounded to `precision`; what is to be paid, when it is posted, to `invoice_precision`.
    """

    code: str
    id: str
    precision: Decimal
    invoice_precision: Decimal
    factor: Decimal | None


@dataclass(slots=True)
class Setup:
    """Company-wide switches the API only feels the effects of."""

    local_currency: str = "EUR"
    local_decimal_places: str = "2:2"
    invoice_rounding: bool = False
    """Sales & Receivables Setup: posting rounds the total to the currency's invoice rounding precision."""
    local_invoice_precision: str = "0.01"
    """General Ledger Setup: that precision for the local currency. Neither is in the API."""
    without_general_posting: frozenset[str] = frozenset()
    """General business posting groups that the General Posting Setup does not have."""
    invoice_rounding_account: str = ""
    """Where the customer posting groups book the difference."""
    link_document_date: bool = True
    external_document_number_mandatory: bool = False
    allow_posting_from: str = ""
    allow_posting_to: str = ""
    allow_deletion_before: str = ""
    global_dimension_1: str = ""
    global_dimension_2: str = ""


@dataclass(frozen=True, slots=True)
class CustomerTemplate:
    """Posting groups a new customer gets; the API has no fields for them (BC facts §9)."""

    code: str
    countries: frozenset[str]
    values: Json = field(default_factory=dict[str, Any])

    def fits(self, country: str) -> bool:
        """Tell whether this template is chosen for a country; `*` takes all."""
        return country in self.countries or "*" in self.countries


class Company:
    """Everything inside `companies(<id>)`."""

    def __init__(self, core: Core, name: str, company_id: str, setup: Setup) -> None:
        self.core = core
        self.name = name
        self.id = company_id
        self.setup = setup
        self.tables = {set_name: Table(core, set_name) for set_name in ENTITIES if set_name not in LINE_SETS}
        self.series: dict[str, NumberSeries] = {}
        self.vat: dict[tuple[str, str], VatSetup] = {}
        self.rates: dict[str, Decimal] = {}
        self.templates: list[CustomerTemplate] = []
        self.salespeople: set[str] = set()
        self.line_owners: dict[str, tuple[str, str]] = {}
        self.vat_formats: dict[str, tuple[str, ...]] = {}
        self.post_codes = PostCodeTable()

    @property
    def home_country(self) -> str:
        """Return the country of Company Information."""
        return next(row.wire["country"] for row in self.tables["companyInformation"].rows.values())

    def uses_county(self, country: str) -> bool:
        """Tell whether addresses of a country have a county (FormatAddress.UseCounty)."""
        row = self.by_code("countriesRegions", country) if country else None
        return row is not None and row.wire["addressFormat"] == _COUNTY_FORMAT

    def table(self, set_name: str) -> Table:
        """Return one entity set's table."""
        return self.tables[set_name]

    def get(self, set_name: str, key: str) -> Row | None:
        """Return a record by id."""
        return self.tables[set_name].rows.get(key)

    def by_code(self, set_name: str, code: str) -> Row | None:
        """Return a record by its code or number."""
        table = self.tables[set_name]
        return table.first("code" if table.is_indexed("code") else "number", code)

    def take_number(self, series: str, day: str = "") -> str:
        """Draw the next free number of a series, on a day or today."""
        entry = self.series[series]
        before = entry.last, entry.last_date
        number = entry.take(day or self.core.clock.today().isoformat())
        if self.core.journal is not None:
            self.core.journal.undo.append(lambda: entry.put_back(*before))
        return number

    def vat_setup(self, business: str, product: str) -> VatSetup:
        """Return the VAT rate of a combination of posting groups; a missing one is an error."""
        found = self.vat.get((business, product))
        if found is None:
            text = (
                "The VAT Posting Setup does not exist. Identification fields and values: "
                f"VAT Bus. Posting Group='{business}',VAT Prod. Posting Group='{product}'"
            )
            raise ApiError(400, "Internal_RecordNotFound", text)
        return found

    def template_for(self, country: str) -> CustomerTemplate | None:
        """Return the first template that fits a country."""
        return next((template for template in self.templates if template.fits(country)), None)

    def currency(self, code: str) -> DocumentCurrency:
        """Return how to round and convert in a stored currency code."""
        if not code:
            precision = precision_of(self.setup.local_decimal_places)
            rounded_to = Decimal(self.setup.local_invoice_precision)
            return DocumentCurrency("", ZERO_GUID, precision, rounded_to, Decimal(1))
        row = self.by_code("currencies", code)
        if row is None:
            raise dialog('The "currencyCode" does not match to a Currency.')
        precision = precision_of(row.wire["amountDecimalPlaces"])
        rounded_to = Decimal(str(row.wire["amountRoundingPrecision"]))
        return DocumentCurrency(code, row.wire["id"], precision, rounded_to, self.rates.get(code))

    def read_currency_code(self, text: str) -> str:
        """Translate a currencyCode from the wire: blank and the local code both mean local, stored blank."""
        code = text[:_CURRENCY_INPUT].strip().upper()
        if code in {"", self.setup.local_currency}:
            return ""
        return self.currency(code).code

    def read_currency_id(self, key: str) -> str:
        """Translate a currencyId from the wire; the zero GUID means local."""
        if key == ZERO_GUID:
            return ""
        row = self.get("currencies", key)
        if row is None:
            raise dialog('The "currencyId" does not match to a Currency.')
        return row.wire["code"]

    def choose_currency(self, body: Json) -> str:
        """Read both currency properties of a body; they must agree."""
        codes: list[str] = []
        if "currencyId" in body:
            codes.append(self.read_currency_id(body["currencyId"]))
        if "currencyCode" in body:
            codes.append(self.read_currency_code(body["currencyCode"]))
        # A blank id does not bind (the page only compares with a currency it has found).
        if len(codes) > 1 and codes[0] and codes[0] != codes[1]:
            raise dialog("The currency values do not match to a specific Currency.")
        return codes[-1]

    def shown_currency(self, code: str) -> Json:
        """Render a stored currency code for reading: the local code with a zero id."""
        if not code:
            return {"currencyId": ZERO_GUID, "currencyCode": self.setup.local_currency}
        return {"currencyId": self.currency(code).id, "currencyCode": code}

    def check_country(self, code: str, table: str) -> None:
        """Refuse a country that is not in Country/Region."""
        if code and self.by_code("countriesRegions", code) is None:
            raise invalid_relation("Country/Region Code", table, code, "Country/Region")

    def check_salesperson(self, code: str, table: str) -> None:
        """Refuse a salesperson nobody knows."""
        if code and code not in self.salespeople:
            raise invalid_relation("Salesperson Code", table, code, "Salesperson/Purchaser")

    def check_reference(self, set_name: str, prop: str, key: str, shown: str) -> None:
        """Refuse an id that is not in its table; the zero GUID empties the field."""
        if key != ZERO_GUID and self.get(set_name, key) is None:
            raise dialog(f'The "{prop}" does not match to a {shown}.')

    def find_dimension_value(self, dimension: str, code: str) -> Row | None:
        """Return the value of this code in one dimension; other dimensions may have values of the same code."""
        found = self.tables["dimensionValues"].find("code", code)
        return next((row for row in found if row.wire["dimensionId"] == dimension), None)

    def documents(self) -> Iterable[Row]:
        """Return all sales documents, drafts and posted."""
        yield from self.tables["salesInvoices"].rows.values()
        yield from self.tables["salesCreditMemos"].rows.values()
