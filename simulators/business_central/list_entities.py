"""Properties of master data and setup entities, W1 layer of API v2.0: name, `!` when read-only, type.

Each entry: entity name, verbs (G get, P post, M patch, D delete), properties.
"""

LISTS: dict[str, tuple[str, str, str]] = {
    "companies": (
        "company",
        "G",
        """
        id! guid; systemVersion! text; timestamp! int; name! text30; displayName! text; businessProfileId! text;
        systemCreatedAt! datetime; systemCreatedBy! guid; systemModifiedAt! datetime; systemModifiedBy! guid
        """,
    ),
    "companyInformation": (
        "companyInformation",
        "GM",
        """
        id! guid; displayName text100; addressLine1 text100; addressLine2 text50; city text30; state text30; country
        code10; postalCode code20; phoneNumber text30; faxNumber text30; email text80; website text255;
        taxRegistrationNumber text50; currencyCode! text; currentFiscalYearStartDate! date; industry text30;
        experience text; lastModifiedDateTime! datetime
        """,
    ),
    "generalLedgerSetup": (
        "generalLedgerSetup",
        "G",
        """
        id! guid; allowPostingFrom! date; allowPostingTo! date; additionalReportingCurrency! code10;
        localCurrencyCode! code10; localCurrencySymbol! text10; lastModifiedDateTime! datetime;
        allowQueryFromConsolidation! bool; shortcutDimension1Code! code20; shortcutDimension2Code! code20;
        shortcutDimension3Code! code20; shortcutDimension4Code! code20; shortcutDimension5Code! code20;
        shortcutDimension6Code! code20; shortcutDimension7Code! code20; shortcutDimension8Code! code20
        """,
    ),
    "customers": (
        "customer",
        "GPMD",
        """
        id! guid; number code20; displayName text100; type enum:Company|Person; addressLine1 text100; addressLine2
        text50; city text30; state text30; country code10; postalCode code20; phoneNumber text30; email text80;
        website text255; salespersonCode code20; balanceDue! decimal; creditLimit decimal; taxLiable bool; taxAreaId
        guid; taxAreaDisplayName! text; taxRegistrationNumber text20; currencyId guid; currencyCode text;
        paymentTermsId guid; shipmentMethodId guid; paymentMethodId guid; blocked enum:_x0020_|Ship|Invoice|All;
        lastModifiedDateTime! datetime
        """,
    ),
    "items": (
        "item",
        "GPMD",
        """
        id! guid; number code20; displayName text100; displayName2 text50; type
        enum:Inventory|Service|Non_x002D_Inventory; itemCategoryId guid; itemCategoryCode code20; blocked bool; gtin
        code14; inventory decimal; unitPrice decimal; priceIncludesTax bool; unitCost decimal; taxGroupId guid;
        taxGroupCode code20; baseUnitOfMeasureId guid; baseUnitOfMeasureCode code10; generalProductPostingGroupId
        guid; generalProductPostingGroupCode code20; inventoryPostingGroupId guid; inventoryPostingGroupCode code20;
        lastModifiedDateTime! datetime
        """,
    ),
    "accounts": (
        "account",
        "G",
        """
        id! guid; number! code20; displayName! text100; category!
        enum:_x0020_|Assets|Liabilities|Equity|Income|Cost_x0020_of_x0020_Goods_x0020_Sold|Expense; subCategory!
        text80; blocked! bool; accountType! enum:Posting|Heading|Total|Begin_x002D_Total|End_x002D_Total;
        directPosting! bool; netChange! decimal; consolidationTranslationMethod!
        enum:Average_x0020_Rate_x0020__x0028_Manual_x0029_|Closing_x0020_Rate|Historical_x0020_Rate|Composite_x0020_Rate|Equity_x0020_Rate;
        consolidationDebitAccount! code20; consolidationCreditAccount! code20; excludeFromConsolidation! bool;
        lastModifiedDateTime! datetime
        """,
    ),
    "currencies": (
        "currency",
        "GPMD",
        """
        id! guid; code code10; displayName text30; symbol text10; amountDecimalPlaces text5; amountRoundingPrecision
        decimal; lastModifiedDateTime! datetime
        """,
    ),
    "paymentTerms": (
        "paymentTerm",
        "GPMD",
        """
        id! guid; code code10; displayName text100; dueDateCalculation text; discountDateCalculation text;
        discountPercent decimal; calculateDiscountOnCreditMemos bool; lastModifiedDateTime! datetime
        """,
    ),
    "paymentMethods": (
        "paymentMethod",
        "GPMD",
        """
        id! guid; code code10; displayName text100; lastModifiedDateTime! datetime
        """,
    ),
    "taxGroups": (
        "taxGroup",
        "GPMD",
        """
        id! guid; code code20; displayName text100; taxType! enum:Sales_x0020_Tax|VAT; lastModifiedDateTime!
        datetime
        """,
    ),
    "taxAreas": (
        "taxArea",
        "GPMD",
        """
        id! guid; code code20; displayName text100; taxType! enum:Sales_x0020_Tax|VAT; lastModifiedDateTime!
        datetime
        """,
    ),
    "unitsOfMeasure": (
        "unitOfMeasure",
        "GPMD",
        """
        id! guid; code code10; displayName text50; internationalStandardCode code10; symbol text10;
        lastModifiedDateTime! datetime
        """,
    ),
    "countriesRegions": (
        "countryRegion",
        "GPMD",
        """
        id! guid; code code10; displayName text50; addressFormat
        enum:Post_x0020_Code_x002B_City|City_x002B_Post_x0020_Code|City_x002B_County_x002B_Post_x0020_Code|Blank_x0020_Line_x002B_Post_x0020_Code_x002B_City|Custom;
        lastModifiedDateTime! datetime
        """,
    ),
    "shipmentMethods": (
        "shipmentMethod",
        "GPMD",
        """
        id! guid; code code10; displayName text100; lastModifiedDateTime! datetime
        """,
    ),
    "dimensions": (
        "dimension",
        "G",
        """
        id! guid; code! code20; displayName! text30; consolidationCode! code20; lastModifiedDateTime! datetime
        """,
    ),
    "dimensionValues": (
        "dimensionValue",
        "G",
        """
        id! guid; code! code20; dimensionId! guid; displayName! text50; consolidationCode! code20;
        lastModifiedDateTime! datetime
        """,
    ),
    "dimensionSetLines": (
        "dimensionSetLine",
        "GPMD",
        """
        id guid; code code20; consolidationCode! code20; parentId! guid; parentType! text; displayName! text30;
        valueId guid; valueCode code20; valueConsolidationCode! code20; valueDisplayName! text50
        """,
    ),
    "attachments": (
        "attachment",
        "GPMD",
        """
        id! guid; parentId guid; fileName text250; byteSize int; lastModifiedDateTime! datetime; parentType text
        """,
    ),
}
