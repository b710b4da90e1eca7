"""What must be gathered before an invoice can be mapped: as little as the settings look at."""

from mapping.materials import ListName, Needs
from mapping.targets import needs_prices, needs_products
from mapping.template_paths import list_roots
from schemas.invoice_settings import InvoiceSettings
from schemas.settings import Settings
from schemas.stripe_objects import Invoice


def list_needs(invoice: Invoice, settings: Settings) -> Needs:
    """List what the mapping of this invoice looks at."""
    details = [line.pricing.price_details for line in invoice.lines.data if line.pricing and line.pricing.price_details]
    taxes = [tax for line in invoice.lines.data for tax in line.taxes or ()]
    # A line without a description is called by its product.
    is_named = all((line.description or "").strip() for line in invoice.lines.data)
    header, lines = list_roots(settings.fields.invoice), list_roots(settings.fields.line)
    products = needs_products(settings.invoices) or not is_named or "product" in lines
    prices = needs_prices(settings.invoices) or "price" in lines
    return Needs(
        lists=_list_lists(invoice, settings.invoices),
        products=frozenset(one.product for one in details if one.product) if products else frozenset(),
        prices=frozenset(one.price for one in details if one.price) if prices else frozenset(),
        tax_rates=frozenset(
            tax.tax_rate_details.tax_rate for tax in taxes if tax.tax_rate_details and tax.tax_rate_details.tax_rate
        ),
        customer="customer" in header | lines
        or any(rule.metadata is not None for rule in settings.invoices.header.dimensions),
    )


def _list_lists(invoice: Invoice, settings: InvoiceSettings) -> frozenset[ListName]:
    lists: set[ListName] = set()
    if settings.tax.rules or settings.tax.zero_code or (settings.lines and settings.lines.tax_code):
        lists.add("tax_codes")
    if settings.header.payment_terms == "match":
        lists.add("payment_terms")
    if settings.header.sell_to_address == "invoice" or invoice.shipping_details or invoice.customer_shipping:
        lists.add("countries")
    if settings.header.dimensions:
        lists.add("dimensions")
    return frozenset(lists)
