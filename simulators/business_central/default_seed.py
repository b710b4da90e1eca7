"""The built-in data: one tenant, one app, one environment, one company ready to invoice."""

from decimal import Decimal
from typing import Any

from simulators.business_central.microsoft_tables import COUNTRIES, COUNTY_COUNTRIES, INVOICE_ROUNDING, VAT_FORMATS
from simulators.business_central.post_code_lists import POST_CODES
from simulators.business_central.values import to_wire
from simulators.business_central.vat import precision_of

TENANT = "6f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e21"
DOMAIN = "cronus.onmicrosoft.com"
ENVIRONMENT = "sandbox"
CLIENT_ID = "demo-client"
CLIENT_SECRET = "demo-secret"
COMPANY = "CRONUS International Ltd."
COMPANY_ID = "c2a9b7f0-51de-4e11-a1f9-6045bd8e1a10"
HOME_COUNTRY = "DE"

EU = "AT BE BG CY CZ DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
# code: (name, symbol, decimal places, units of it per local unit)
CURRENCIES: dict[str, tuple[str, str, str, str | None]] = {
    "USD": ("US dollar", "$", "2:2", "1.0850"),
    "GBP": ("Pound Sterling", "£", "2:2", "0.8450"),
    "DKK": ("Danish krone", "kr", "2:2", "7.4600"),
    "SEK": ("Swedish krona", "kr", "2:2", "11.3000"),
    "NOK": ("Norwegian krone", "kr", "2:2", "11.7500"),
    "CHF": ("Swiss franc", "Fr", "2:2", "0.9400"),
    "PLN": ("Polish zloty", "zł", "2:2", "4.3000"),
    "CZK": ("Czech koruna", "Kč", "2:2", "25.1000"),
    "CAD": ("Canadian dollar", "$", "2:2", "1.4800"),
    "AUD": ("Australian dollar", "$", "2:2", "1.6500"),
    "SGD": ("Singapore dollar", "$", "2:2", "1.4400"),
    "HUF": ("Hungarian forint", "Ft", "2:2", "395.00"),
    "JPY": ("Japanese yen", "¥", "0:0", "163.00"),
    "KRW": ("Korean won", "₩", "0:0", "1480.00"),
    "ISK": ("Icelandic krona", "kr", "0:0", "150.00"),
    "KWD": ("Kuwaiti dinar", "KD", "3:3", "0.3330"),
    "BHD": ("Bahraini dinar", "BD", "3:3", "0.4090"),
    # Known, but without an exchange rate: its lines are refused.
    "MXN": ("Mexican peso", "$", "2:2", None),
}
_RATES = {"STANDARD": ("VAT25", 25), "REDUCED": ("VAT7", 7), "ZERO": ("VAT0", 0)}
# Known, but combined with no business group in the VAT posting setup: its lines are refused.
_WITHOUT_SETUP = "SPECIAL"


def default_seed() -> dict[str, Any]:
    """Return the seed in the form POST /_sim/seed takes."""
    return {
        "tenants": [{"id": TENANT, "domain": DOMAIN}],
        "apps": [
            {"tenant": TENANT, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
            {"tenant": TENANT, "client_id": "demo-device", "client_secret": "", "public": True},
        ],
        "companies": [
            {
                "tenant": TENANT,
                "environment": ENVIRONMENT,
                "name": COMPANY,
                "id": COMPANY_ID,
                "currency": "EUR",
                "information": {"country": HOME_COUNTRY},
                "vatFormats": VAT_FORMATS,
                "postCodes": POST_CODES[HOME_COUNTRY],
                **_tax_sections(),
                **_master_data(),
                **_objects(),
            }
        ],
    }


def _tax_sections() -> dict[str, Any]:
    domestic = [
        {"business": "DOMESTIC", "product": product, "identifier": identifier, "percent": percent}
        for product, (identifier, percent) in _RATES.items()
    ]
    # Sales to the rest of the EU are reverse charge and exports are exempt: no VAT on the invoice.
    foreign = [
        {"business": business, "product": product, "identifier": f"{prefix}-{identifier}", "percent": 0}
        for business, prefix in (("EU", "RC"), ("EXPORT", "EXP"))
        for product, (identifier, _percent) in _RATES.items()
    ]
    countries = {"DOMESTIC": [HOME_COUNTRY, ""], "EU": EU, "EXPORT": ["*"]}
    templates = [
        {
            "code": code,
            "countries": chosen,
            "genBusPostingGroup": code,
            "vatBusPostingGroup": code,
            "customerPostingGroup": code,
            "paymentTermsCode": "30 DAYS",
        }
        for code, chosen in countries.items()
    ]
    return {
        "vat": [*domestic, *foreign],
        "taxGroups": [{"code": code, "displayName": f"{code.capitalize()} VAT"} for code in [*_RATES, _WITHOUT_SETUP]],
        "taxAreas": [{"code": code, "displayName": f"{code.capitalize()} customers"} for code in countries],
        "templates": templates,
    }


def _invoice_precision(code: str, places: str) -> Decimal:
    """Return what posting rounds to: Microsoft's value where it is more than the smallest unit."""
    return Decimal(INVOICE_ROUNDING[code][0]) if code in INVOICE_ROUNDING else precision_of(places)


def _country(code: str) -> dict[str, Any]:
    shape = "City_x002B_County_x002B_Post_x0020_Code" if code in COUNTY_COUNTRIES else "Post_x0020_Code_x002B_City"
    name = {"EL": "Greece", "NI": "Northern Ireland"}.get(code, code)
    return {"code": code, "displayName": name, "addressFormat": shape}


def _master_data() -> dict[str, Any]:
    return {
        "series": {
            "CUST": {"prefix": "C", "last": 10000, "manual": False},
            "ITEM": {"prefix": "I", "last": 1000, "manual": True},
            "S-INV": {"prefix": "S-INV", "last": 102000},
            "S-INV+": {"prefix": "PS-INV", "last": 103000},
            "S-CR": {"prefix": "S-CR", "last": 1000},
            "S-CR+": {"prefix": "PS-CR", "last": 104000},
        },
        "currencies": [
            {
                "code": code,
                "displayName": name,
                "symbol": symbol,
                "amountDecimalPlaces": places,
                "amountRoundingPrecision": to_wire(_invoice_precision(code, places)),
                "rate": rate,
            }
            for code, (name, symbol, places, rate) in CURRENCIES.items()
        ],
        "countriesRegions": [_country(code) for code in COUNTRIES],
        "paymentTerms": [
            {"code": "30 DAYS", "displayName": "Net 30 days", "dueDateCalculation": "30D"},
            {"code": "14 DAYS", "displayName": "Net 14 days", "dueDateCalculation": "14D"},
            {"code": "COD", "displayName": "Cash on delivery", "dueDateCalculation": "0D"},
            {"code": "CM", "displayName": "Current month", "dueDateCalculation": "CM"},
            {
                "code": "1M(8D)",
                "displayName": "1 Month/2% 8 days",
                "dueDateCalculation": "1M",
                "discountDateCalculation": "8D",
                "discountPercent": 2,
            },
        ],
        "paymentMethods": [{"code": "BANK", "displayName": "Bank"}, {"code": "CARD", "displayName": "Card"}],
        "shipmentMethods": [{"code": "EXW", "displayName": "Ex works"}],
        "unitsOfMeasure": [
            {"code": "PCS", "displayName": "Piece", "internationalStandardCode": "EA"},
            {"code": "HOUR", "displayName": "Hour", "internationalStandardCode": "HUR"},
            {"code": "MONTH", "displayName": "Month", "internationalStandardCode": "MON"},
        ],
        "dimensions": [
            {
                "code": "DEPARTMENT",
                "displayName": "Department",
                "values": [{"code": "SALES", "displayName": "Sales"}, {"code": "PROD", "displayName": "Production"}],
            },
            {
                "code": "CUSTOMERGROUP",
                "displayName": "Customer Group",
                "values": [{"code": "LARGE", "displayName": "Large"}, {"code": "SMALL", "displayName": "Small"}],
            },
        ],
        "setup": {
            "global_dimension_1": "DEPARTMENT",
            "global_dimension_2": "CUSTOMERGROUP",
            "invoice_rounding": True,
            "invoice_rounding_account": "6910",
        },
        "salespeople": ["JO", "LT"],
    }


def _objects() -> dict[str, Any]:
    return {
        "accounts": [
            {"number": "6110", "displayName": "Sales, Retail", "category": "Income", "taxGroupCode": "STANDARD"},
            {"number": "6120", "displayName": "Sales, Reduced VAT", "category": "Income", "taxGroupCode": "REDUCED"},
            {"number": "6130", "displayName": "Sales, Zero VAT", "category": "Income", "taxGroupCode": "ZERO"},
            {"number": "6810", "displayName": "Shipping Charges", "category": "Income", "taxGroupCode": "STANDARD"},
            {"number": "5610", "displayName": "Sales Tax as Given", "category": "Liabilities", "taxGroupCode": "ZERO"},
            {"number": "6910", "displayName": "Invoice Rounding", "category": "Income", "taxGroupCode": "ZERO"},
            {"number": "6100", "displayName": "Revenue", "category": "Income", "accountType": "Heading"},
            {"number": "2310", "displayName": "Customers", "category": "Assets", "directPosting": False},
            {"number": "6190", "displayName": "Sales, old", "category": "Income", "blocked": True},
        ],
        "items": [
            {"number": "SVC-100", "displayName": "Consulting hour", "type": "Service", "unitPrice": 120,
             "baseUnitOfMeasureCode": "HOUR", "taxGroupCode": "STANDARD"},
            {"number": "SVC-200", "displayName": "Subscription", "type": "Service", "unitPrice": 49,
             "baseUnitOfMeasureCode": "MONTH", "taxGroupCode": "STANDARD", "units": ["PCS"]},
            {"number": "SVC-300", "displayName": "Book", "type": "Non_x002D_Inventory", "unitPrice": 20,
             "taxGroupCode": "REDUCED"},
            {"number": "SVC-900", "displayName": "Withdrawn service", "type": "Service", "blocked": True},
            {"number": "SVC-950", "displayName": "Discontinued service", "type": "Service", "salesBlocked": True},
            {"number": "1896-S", "displayName": "ATHENS Desk", "type": "Inventory", "unitPrice": 649.4,
             "taxGroupCode": "STANDARD"},
        ],
        "customers": [
            {"number": "10000", "displayName": "Adatum Corporation", "country": "DE", "city": "Berlin",
             "postalCode": "10115", "addressLine1": "Station Road 21", "email": "robert.townes@contoso.com"},
            {"number": "20000", "displayName": "Trey Research", "country": "FR", "city": "Lyon", "postalCode": "69001"},
            {"number": "30000", "displayName": "School of Fine Art", "country": "US", "city": "Miami",
             "currencyCode": "USD"},
            {"number": "40000", "displayName": "Blocked Ltd.", "country": "DE", "blocked": "All"},
        ],
    }  # fmt: skip
