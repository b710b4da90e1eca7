"""What a new BC customer is made of, and the fields of it that can follow Stripe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from mapping.countries import choose_country_code
from mapping.document_header import to_day
from mapping.eligibility import get_effective_time
from mapping.field_values import Context, build_context, render_fields
from mapping.legal_forms import split_legal_form
from mapping.matching import NAME_LENGTH
from mapping.materials import Books, ListName
from mapping.normal_forms import normalise_name
from mapping.parties import Party
from mapping.sheet import put_countries_first
from mapping.tax_numbers import STANDARD, is_northern_irish, is_vat_number, read_issuer, write_tax_number
from mapping.templates import TemplateError, render_template
from mapping.text import Notes, fit_code, fit_email, fit_phone, fit_text, split_lines, tidy
from schemas.customer_settings import CustomerDefaults, CustomerSettings, NewCustomer
from schemas.errors import Refused
from schemas.settings import Settings
from schemas.stripe_objects import Address, Customer, Invoice

NUMBER_LENGTH = 20
_QUOTED = 60
_NORTHERN_IRELAND = frozenset(("NI", "XI"))
_SOURCES = {
    "number": "customers.new.number",
    "type": "customers.new.type",
    "displayName": "customer name, else e-mail",
    "email": "customer e-mail",
    "phoneNumber": "customer phone",
    "taxRegistrationNumber": "customer tax id",
    **dict.fromkeys(("addressLine1", "addressLine2", "city", "state", "postalCode"), "customer address"),
    "country": "customer address or tax id; customers.new",
    "paymentTermsId": "first invoice's days, else customers.new",
    **dict.fromkeys(
        ("taxAreaId", "shipmentMethodId", "paymentMethodId", "salespersonCode", "currencyCode", "taxLiable"),
        "customers.new",
    ),
}


@dataclass(frozen=True)
class FirstInvoice:
    """What a new customer's first invoice tells of it."""

    currency: str
    days: int | None
    """From the invoice's date to its due date; None where it is due at once."""

    @classmethod
    def read(cls, invoice: Invoice, time_zone: str) -> "FirstInvoice":
        """Read it in the company's time zone."""
        if invoice.due_date is None:
            return cls(invoice.currency.upper(), None)
        dated: date = get_effective_time(invoice).astimezone(ZoneInfo(time_zone)).date()
        return cls(invoice.currency.upper(), (to_day(invoice.due_date, time_zone) - dated).days)


@dataclass(frozen=True)
class NewCustomerPayload:
    """What would be sent, and what was changed on the way."""

    payload: dict[str, Any]
    notes: tuple[str, ...]
    sources: dict[str, str]
    """Where each field came from, for the reader of a preview."""

    @property
    def template_by(self) -> str:
        """What Business Central chooses the template of its posting groups by: `DE/Company`, or `/Person`."""
        return f"{self.payload.get('country', '')}/{self.payload.get('type', '')}"


def build_new_customer(
    party: Party, settings: Settings, books: Books, invoice: Invoice, customer: Customer | None = None
) -> NewCustomerPayload:
    """Build the payload of the customer that an invoice is for. The user's own mappings come over the rest.

    Raises:
        Refused: it can't be called or numbered, or Business Central lacks a country, currency or other code.
    """
    notes = Notes()
    if party.note:
        notes.add(party.note)
    context = build_context(invoice, customer, time_zone=settings.time_zone)
    own = render_fields(settings.fields.customer, "customers", context, notes, of=f" of customer {party.label}")
    maker = CustomerMaker(party, settings.customers.new, books, notes, frozenset(own))
    number = maker.read_number(context)
    payload = maker.build(FirstInvoice.read(invoice, settings.time_zone)) | own
    numbered = ({"number": number} if number else {}) | payload
    sources = {name: "fields.customer" if name in own else _SOURCES[name] for name in numbered}
    return NewCustomerPayload(put_countries_first(numbered), tuple(notes.sentences), sources)


def withhold_post_code(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a customer is created with: its post code is written afterwards.

    Where the company's own list has that code under another country, or under none, Business Central takes that, and
    chooses the posting groups by it (BC facts 20.3).
    """
    return {name: value for name, value in payload.items() if name != "postalCode" or "country" not in payload}


def list_customer_lists(settings: CustomerSettings) -> frozenset[ListName]:
    """List what of Business Central's lists a new customer is built by."""
    new = settings.new
    sets = (new.defaults, *new.by_country.values())
    found: set[ListName] = {"company", "countries"}
    if new.payment_terms_from_invoice or any(one.payment_terms for one in sets):
        found.add("payment_terms")
    if any(one.tax_area for one in sets):
        found.add("tax_areas")
    if any(one.shipment_method for one in sets):
        found.add("shipment_methods")
    if any(one.payment_method for one in sets):
        found.add("payment_methods")
    return frozenset(found)


@dataclass(frozen=True)
class CustomerMaker:
    """Builds the fields of one customer. What is changed on the way is noted."""

    party: Party
    settings: NewCustomer
    books: Books
    notes: Notes
    mapped: frozenset[str] = frozenset()
    """Fields that the user's own mappings fill: nothing is built for them."""

    def build(self, first: FirstInvoice) -> dict[str, Any]:
        """Build the payload of a new customer, but for its number.

        Raises:
            Refused: it can't be called, or Business Central lacks a country, currency or other code.
        """
        return {"type": self._choose_type()} | self.build_fields() | self._build_terms(first)

    def build_fields(self) -> dict[str, str]:
        """Build the fields that tell who it is. A field that Stripe has nothing for is left out.

        Ordered as they are sent: see `put_countries_first`.

        Raises:
            Refused: there is nothing to call the customer by, or Business Central does not know its country.
        """
        party, address = self.party, self.party.address
        street, second = self._split_street(address)
        builders: dict[str, Callable[[], str]] = {
            "displayName": self._build_name,
            "email": lambda: fit_email(party.email, "The e-mail address", self.notes),
            "phoneNumber": lambda: fit_phone(party.phone, "The phone number", self.notes),
            "country": self._choose_code,
            "taxRegistrationNumber": self._build_tax_number,
            "addressLine1": lambda: street,
            "addressLine2": lambda: fit_text(second, 50, "The second address line", self.notes),
            "city": lambda: fit_text(address.city or "", 30, "The city", self.notes),
            "state": lambda: fit_text(address.state or "", 30, "The state", self.notes),
            "postalCode": lambda: fit_code(address.postal_code or "", 20, "The postal code", self.notes),
        }
        built = {name: build() for name, build in builders.items() if name not in self.mapped}
        return put_countries_first({name: text for name, text in built.items() if text})

    def read_number(self, context: Context) -> str:
        """Return the number that Stripe says a new customer is to have; empty where Business Central gives it.

        Raises:
            Refused: Stripe has none, or it is no number that Business Central can have.
        """
        source = self.settings.number
        if source == "series":
            return ""
        text = self._render_number(context) if "{" in source else next(iter(self.party.read(source)), "")
        tried = Notes()
        number = fit_code(text, NUMBER_LENGTH, "The customer number", tried)
        if not number:
            raise Refused(
                f"The new customer {self.party.label} has no number: Stripe has no {source} for it.",
                code="contact.number.missing",
                fix="Fill it in on the Stripe customer, or leave numbers to Business Central (customers.new.number: "
                "series); then replay.",
            )
        if tried.losses:
            raise Refused(
                f"The customer number {tidy(text)[:60]} can't be one in Business Central: {tried.losses[0]}",
                code="contact.number.unusable",
                fix=f"Change it on the Stripe customer to one of {NUMBER_LENGTH} letters, digits and signs at most; "
                "then replay.",
            )
        return number

    def _render_number(self, context: Context) -> str:
        try:
            return render_template(self.settings.number, context)
        except TemplateError as error:
            raise Refused(
                f"The template of customer numbers can't be used: {error.place} {error.message}.".replace("  ", " "),
                code="contact.number.template",
                fix="Correct customers.new.number in the settings, then replay.",
            ) from error

    def _split_street(self, address: Address) -> tuple[str, str]:
        """Business Central has a street of 100 characters and one more line: what is too long goes on there."""
        lines = split_lines(address.line1 or "", 100, "The address", self.notes)
        return next(iter(lines), ""), ", ".join([*lines[1:], *filter(None, (address.line2,))])

    def _build_name(self) -> str:
        name = next((text for text in (self.party.name, self.party.email) if tidy(text)), None)
        if name is None:
            raise Refused(
                f"The Stripe customer {self.party.id} has neither name nor e-mail.",
                code="contact.name.missing",
                fix="Fill in the name on the Stripe customer, then replay.",
            )
        return fit_text(name, NAME_LENGTH, "The customer's name", self.notes)

    def _build_tax_number(self) -> str:
        """Take the one of the customer's own country, else the first, in a form that Business Central takes.

        Its formats are of VAT numbers: of a country that has some, other kinds are left out.
        """
        country = self._country or self.books.country
        formats = () if self._find_code(country) in _NORTHERN_IRELAND else STANDARD.get(country, ())
        own = [one for one in self.party.tax_ids if tidy(one.value or "")]
        own.sort(key=lambda one: (read_issuer(one) != country, not is_vat_number(one)))
        for one in own:
            given = tidy(one.value or "")
            written = write_tax_number(given, country, formats) if is_vat_number(one) or not formats else ""
            if written:
                if written != given:
                    self.notes.add(f"The tax number {given} was written as {written}, as Business Central takes it.")
                return written
        if own:
            self.notes.add(
                f"The tax number {tidy(own[0].value or '')[:_QUOTED]} was left out: Business Central's formats for "
                f"{country or 'the field'} have no such number.",
                lost=True,
            )
        return ""

    @cached_property
    def _country(self) -> str:
        """Where the customer is from, by ISO's code: a customer without a country can't be billed.

        Where its address has none, its tax number tells, else the settings.
        """
        if address := tidy(self.party.address.country or "").upper():
            return address
        issuers = filter(None, map(read_issuer, self.party.tax_ids))
        if issuer := next((one for one in issuers if self._find_code(one)), ""):
            self.notes.add(f"Stripe has no country for the customer; {issuer} was taken from its tax number.")
            return issuer
        if named := self.settings.without_country:
            self.notes.add(f"Stripe has no country for the customer; it got {named}, as the settings say.")
        return named or ""

    def _choose_code(self) -> str:
        """Choose Business Central's code of the country; empty for a customer without one."""
        iso = self._country
        code = self._find_code(iso) if iso else ""
        if iso and not code:
            named = self._choose_defaults(iso).country or iso
            raise Refused(
                f"The country {named} of the Stripe customer {self.party.label} is not in Business Central.",
                code="contact.country.unknown",
                fix=f"Create {named} there under Countries/Regions, or name Business Central's own code for it in the "
                f"settings (customers.new.by_country.{iso}.country); then replay.",
            )
        return code

    def _find_code(self, iso: str) -> str:
        """Find the code that the settings name, else the one that Business Central has; empty where it has none."""
        known, named = self.books.known_countries, self._choose_defaults(iso).country
        if named:
            return named if named in known or not known else ""
        return choose_country_code(iso, known, northern_irish=is_northern_irish(self.party.tax_ids))

    def _choose_defaults(self, iso: str) -> CustomerDefaults:
        is_irish = iso == "GB" and "XI" in self.settings.by_country and is_northern_irish(self.party.tax_ids)
        return self.settings.choose_defaults("XI" if is_irish else iso)

    def _choose_type(self) -> str:
        match self.settings.type:
            case "company":
                return "Company"
            case "person":
                return "Person"
            case "detect":
                has_form = bool(split_legal_form(normalise_name(self.party.name))[1])
                is_company = has_form or bool(self.party.tax_ids) or bool(self.party.business_name)
                return "Company" if is_company else "Person"

    def _build_terms(self, first: FirstInvoice) -> dict[str, Any]:
        defaults, books = self._defaults, self.books
        found = {
            "paymentTermsId": self._choose_payment_terms(first),
            "taxAreaId": _look_up(books.tax_areas, defaults.tax_area, "tax_area", "VAT business posting group"),
            "shipmentMethodId": _look_up(
                books.shipment_methods, defaults.shipment_method, "shipment_method", "shipment method"
            ),
            "paymentMethodId": _look_up(
                books.payment_methods, defaults.payment_method, "payment_method", "payment method"
            ),
            "salespersonCode": defaults.salesperson,
            "currencyCode": self._choose_currency(first),
            "taxLiable": defaults.tax_liable,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _choose_payment_terms(self, first: FirstInvoice) -> str | None:
        terms = self.books.payment_terms
        if self.settings.payment_terms_from_invoice and first.days is not None:
            fitting = self.books.find_terms(first.days)
            if fitting is not None:
                return fitting.id
        ids = {code: one.id for code, one in terms.items()}
        return _look_up(ids, self._defaults.payment_terms, "payment_terms", "code of payment terms")

    def _choose_currency(self, first: FirstInvoice) -> str | None:
        wanted = self._defaults.currency
        code = first.currency if wanted == "invoice" else wanted
        if code is None or code == self.books.local_currency:
            # Business Central keeps its own currency as a blank, which is what a new customer has.
            return None
        if code not in self.books.decimals:
            raise Refused(
                f"The currency {code} for the new customer {self.party.label} is not in Business Central.",
                code="contact.currency.unknown",
                fix=f"Create {code} there under Currencies, with an exchange rate, or change customers.new in the "
                "settings; then replay.",
            )
        return code

    @property
    def _defaults(self) -> CustomerDefaults:
        return self._choose_defaults(self._country)


def _look_up(ids: Mapping[str, str], code: str | None, name: str, what: str) -> str | None:
    """Return the id of a code that the settings name."""
    if code is None:
        return None
    if code not in ids:
        raise Refused(
            f"Business Central has no {what} {code}, which new customers are to get.",
            code="contact.default.unknown",
            fix=f"Create it there, or correct {name} under customers.new in the settings; then replay.",
        )
    return ids[code]
