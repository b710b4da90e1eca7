"""Where a line is booked: by the fixed table, else by pairs of fields, else on the default account or item."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from mapping.materials import BookObject, Materials, ObjectField, ObjectKey, ObjectType
from mapping.sale import Piece
from mapping.taxes import find_rule
from schemas.errors import Refused
from schemas.invoice_settings import Bundle, CommentTarget, InvoiceSettings, LineTarget, ProductPair
from schemas.money import apportion
from schemas.stripe_objects import Invoice, Line, Price, Product, StripeObject


@dataclass(frozen=True)
class Booked:
    """A piece with its account or item, and how that was found. Without a target it is only told."""

    piece: Piece
    target: LineTarget | None
    source: str
    """For the reader: `product.metadata.sku = SVC-100`."""
    is_default: bool = False
    """Whether it is the default account, for which a tax rule's stands."""


def needs_products(settings: InvoiceSettings) -> bool:
    """Tell whether targets depend on what Stripe says of products."""
    return any(pair.stripe.startswith("product.") and pair.stripe != "product.id" for pair in settings.products.pairs)


def needs_prices(settings: InvoiceSettings) -> bool:
    """Tell whether targets depend on what Stripe says of prices."""
    return any(pair.stripe.startswith("price.") and pair.stripe != "price.id" for pair in settings.products.pairs)


def list_object_keys(
    invoice: Invoice, settings: InvoiceSettings, products: Mapping[str, Product], prices: Mapping[str, Price]
) -> frozenset[ObjectKey]:
    """List every account and item that a draft of the invoice may need, to be looked up at once."""
    fixed = {_key_of(target) for target in _list_fixed(settings)}
    named = {
        _key_of_pair(pair, value)
        for line in invoice.lines.data
        for pair in settings.products.pairs
        if (value := _read_source(pair.stripe, line, invoice, products, prices))
    }
    return frozenset(fixed | named)


def _list_fixed(settings: InvoiceSettings) -> Iterator[LineTarget]:
    for target in (settings.lines, settings.shipping, *settings.products.table.values()):
        if isinstance(target, LineTarget):
            yield target
        elif isinstance(target, Bundle):
            yield from (part.target for part in target.parts)
    by_tax = {account for rule in settings.tax.rules for account in (rule.account, *rule.accounts.values())}
    for account in (settings.rounding.account, settings.tax.account, *sorted(filter(None, by_tax))):
        if account is not None:
            yield LineTarget(type="Account", number=account)


def book_piece(piece: Piece, invoice: Invoice, settings: InvoiceSettings, materials: Materials) -> list[Booked]:
    """Find where a piece goes; a bundle goes to several places.

    Raises:
        Refused: nothing says where, it names nothing or several things, or what it names can't be booked on.
    """
    found, source = _choose(piece, invoice, settings, materials)
    match found:
        case LineTarget():
            return [Booked(piece, _complete(found, materials), source, is_default=found is settings.lines)]
        case Bundle():
            return [Booked(part, _complete(target, materials), source) for part, target in _split(piece, found)]
        case CommentTarget():
            if piece.gross or piece.net:
                raise Refused(
                    f"The {piece.label} is to be told only ({source}), but it costs something.",
                    code="invoice.line.comment_with_amount",
                    fix="Give its product an account or item under invoices.products.table, then replay.",
                )
            return [Booked(piece, None, source)]


def book_by_tax(
    booked: Booked, target: LineTarget, piece: Piece, settings: InvoiceSettings, materials: Materials
) -> tuple[LineTarget, str]:
    """Take the revenue account that the tax rule of a piece names instead, if it does; with its source.

    Raises:
        Refused: it can't be booked on.
    """
    number, rule = find_rule(piece, settings.tax)
    if rule is None or target.type != "Account":
        return target, booked.source
    account = rule.accounts.get(target.number) or (rule.account if booked.is_default else None)
    if account is None or account == target.number:
        return target, booked.source
    own = target.model_copy(update={"number": account})
    return _complete(own, materials), f"tax rule {number}, instead of {target.number} ({booked.source})"


def check_object(target: LineTarget, materials: Materials) -> BookObject:
    """Return the account or item of a target.

    Raises:
        Refused: it does not exist, or no line can be booked on it.
    """
    found = materials.objects.get(_key_of(target), ())
    kind = _KIND[target.type]
    if not found:
        raise Refused(
            f"Business Central has no {kind} {target.number}.",
            code=f"invoice.{kind.split()[-1]}.missing",
            fix=f"Create the {kind} there, or name another one in the settings; then replay.",
        )
    if found[0].unusable:
        raise Refused(
            f"The {kind} {target.number} {found[0].name} {found[0].unusable}, so no line can be booked on it.",
            code=f"invoice.{kind.split()[-1]}.unusable",
            fix=f"Change that on the {kind}'s card in Business Central, or name another in the settings; then replay.",
        )
    return found[0]


_KIND: dict[ObjectType, str] = {"Account": "G/L account", "Item": "item"}


def _choose(
    piece: Piece, invoice: Invoice, settings: InvoiceSettings, materials: Materials
) -> tuple[LineTarget | CommentTarget | Bundle, str]:
    if piece.line is None:
        return _choose_shipping(invoice, settings)
    for key in _list_table_keys(piece.line):
        if key in settings.products.table:
            return settings.products.table[key], f"invoices.products.table, {key}"
    for pair in settings.products.pairs:
        value = _read_source(pair.stripe, piece.line, invoice, materials.products, materials.prices)
        if value and (one := _find_one(pair, value, piece, materials)) is not None:
            return LineTarget(type=one.type, number=one.number), f"{pair.stripe} = {value}"
    if settings.products.missing == "stop":
        raise _build_not_found(piece, invoice, settings, materials)
    return _require_default(settings), "the default, invoices.lines"


def _choose_shipping(invoice: Invoice, settings: InvoiceSettings) -> tuple[LineTarget, str]:
    del invoice
    if settings.shipping is not None:
        return settings.shipping, "invoices.shipping"
    return _require_default(settings), "the default, invoices.lines"


def _require_default(settings: InvoiceSettings) -> LineTarget:
    if settings.lines is None:
        raise Refused(
            "No account or item is set for invoice lines.",
            code="settings.lines.missing",
            fix="Set invoices.lines in the settings (an account or item number of Business Central), then replay.",
        )
    return settings.lines


def _list_table_keys(line: Line) -> Iterable[str]:
    details = line.pricing.price_details if line.pricing else None
    return [one for one in (details.price, details.product) if one] if details else []


def _find_one(pair: ProductPair, value: str, piece: Piece, materials: Materials) -> BookObject | None:
    found = materials.objects.get(_key_of_pair(pair, value), ())
    if len(found) > 1:
        numbers = ", ".join(one.number for one in found[:5])
        raise Refused(
            f"The {piece.label} names {pair.bc} {value!r}, which several have in Business Central: {numbers}.",
            code="invoice.item.ambiguous",
            fix="Make them different there, or name the product in invoices.products.table; then replay.",
        )
    return found[0] if found else None


def _build_not_found(piece: Piece, invoice: Invoice, settings: InvoiceSettings, materials: Materials) -> Refused:
    line = piece.line
    tried = "; ".join(
        f"{pair.stripe} = {_read_source(pair.stripe, line, invoice, materials.products, materials.prices) or '(empty)'}"
        for pair in settings.products.pairs
        if line is not None
    )
    return Refused(
        f"The product of {piece.label}, “{piece.description[:60]}”, was not found in Business Central"
        f"{f' ({tried})' if tried else ''}.",
        code="invoice.product.not_found",
        fix="Create the item there, add the product to invoices.products.table, or let invoices.products.missing take "
        "the default; then replay.",
    )


def _complete(target: LineTarget, materials: Materials) -> LineTarget:
    """Check the target; its unit is the item's own where none is set."""
    one = check_object(target, materials)
    return target if target.unit or not one.unit else target.model_copy(update={"unit": one.unit})


def _key_of(target: LineTarget) -> ObjectKey:
    return ObjectKey(target.type, "number", target.number)


_PAIRS: dict[str, tuple[ObjectType, ObjectField]] = {
    "item.number": ("Item", "number"),
    "item.displayName": ("Item", "displayName"),
    "item.gtin": ("Item", "gtin"),
    "account.number": ("Account", "number"),
}


def _key_of_pair(pair: ProductPair, value: str) -> ObjectKey:
    kind, field = _PAIRS[pair.bc]
    return ObjectKey(kind, field, value if field == "displayName" else value.upper())


def _read_source(
    source: str, line: Line | None, invoice: Invoice, products: Mapping[str, Product], prices: Mapping[str, Price]
) -> str:
    """Read a field that names a product, without outer blanks; empty where there is none."""
    if line is None:
        return ""
    owner, _, path = source.partition(".")
    details = line.pricing.price_details if line.pricing else None
    product = (details.product if details else None) or ""
    price = (details.price if details else None) or ""
    if path == "id":
        return product if owner == "product" else price
    record: StripeObject | None = {
        "product": products.get(product),
        "price": prices.get(price),
        "line": line,
        "invoice": invoice,
    }[owner]
    if record is None:
        return ""
    if path.startswith("metadata."):
        metadata: dict[str, str] = getattr(record, "metadata", {})
        return metadata.get(path.removeprefix("metadata."), "").strip()
    return str(getattr(record, path, None) or "").strip()


def _split(piece: Piece, bundle: Bundle) -> Iterator[tuple[Piece, LineTarget]]:
    """Share a piece out among the parts of a bundle, each amount to the last minor unit."""
    weights = [part.share for part in bundle.parts]
    amounts = apportion(piece.amount, weights)
    discounts = apportion(piece.discount, weights)
    taxes = piece.tax.share_out(weights)
    for at, part in enumerate(bundle.parts):
        label = f"{piece.label}, part {at + 1}"
        own = replace(piece, label=label, amount=amounts[at], discount=discounts[at], tax=taxes[at], unit_price=None)
        yield replace(own, is_part=True), part.target
