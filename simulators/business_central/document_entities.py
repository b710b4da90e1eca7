"""Properties of sales documents and their lines, W1 layer of API v2.0: name, `!` when read-only, type.

Each entry: entity name, verbs (G get, P post, M patch, D delete), properties.
"""

DOCUMENTS: dict[str, tuple[str, str, str]] = {
    "salesInvoices": (
        "salesInvoice",
        "GPMD",
        """
        id! guid; number! code20; externalDocumentNumber code35; invoiceDate date; postingDate date; dueDate date;
        promisedPayDate date; customerPurchaseOrderReference text35; customerId guid; customerNumber code20;
        customerName! text100; billToName! text100; billToCustomerId guid; billToCustomerNumber code20; shipToName
        text100; shipToContact text100; sellToAddressLine1 text100; sellToAddressLine2 text50; sellToCity text30;
        sellToCountry code10; sellToState text30; sellToPostCode code20; billToAddressLine1! text100;
        billToAddressLine2! text50; billToCity! text30; billToCountry! code10; billToState! text30; billToPostCode!
        code20; shipToAddressLine1 text100; shipToAddressLine2 text50; shipToCity text30; shipToCountry code10;
        shipToState text30; shipToPostCode code20; currencyId guid; shortcutDimension1Code code20;
        shortcutDimension2Code code20; currencyCode text; orderId! guid; orderNumber! code20; paymentTermsId guid;
        shipmentMethodId guid; salesperson code20; disputeStatusId guid; disputeStatus code10; pricesIncludeTax!
        bool; remainingAmount! decimal; discountAmount decimal; discountAppliedBeforeTax! bool;
        totalAmountExcludingTax! decimal; totalTaxAmount! decimal; totalAmountIncludingTax! decimal; status!
        enum:_x0020_|Draft|In_x0020_Review|Open|Paid|Canceled|Corrective; lastModifiedDateTime! datetime;
        phoneNumber text30; email text80
        """,
    ),
    "salesInvoiceLines": (
        "salesInvoiceLine",
        "GPMD",
        """
        id! guid; documentId guid; sequence int; itemId guid; accountId guid; lineType
        enum:Comment|Account|Item|Resource|Fixed_x0020_Asset|Charge|Allocation_x0020_Account; lineObjectNumber
        code20; description text100; description2 text50; unitOfMeasureId guid; unitOfMeasureCode code10; quantity
        decimal; unitPrice decimal; discountAmount decimal; discountPercent decimal; discountAppliedBeforeTax! bool;
        amountExcludingTax! decimal; taxCode code50; taxPercent! decimal; totalTaxAmount! decimal;
        amountIncludingTax! decimal; invoiceDiscountAllocation! decimal; netAmount! decimal; netTaxAmount! decimal;
        netAmountIncludingTax! decimal; shipmentDate date; itemVariantId guid; locationId guid
        """,
    ),
    "salesCreditMemos": (
        "salesCreditMemo",
        "GPMD",
        """
        id! guid; number! code20; externalDocumentNumber code35; creditMemoDate date; postingDate date; dueDate
        date; customerId guid; customerNumber code20; customerName! text100; billToName! text100; billToCustomerId
        guid; billToCustomerNumber code20; sellToAddressLine1 text100; sellToAddressLine2 text50; sellToCity text30;
        sellToCountry code10; sellToState text30; sellToPostCode code20; billToAddressLine1 text100;
        billToAddressLine2 text50; billToCity text30; billToCountry code10; billToState text30; billToPostCode
        code20; shortcutDimension1Code code20; shortcutDimension2Code code20; currencyId guid; currencyCode text;
        paymentTermsId guid; shipmentMethodId guid; salesperson code20; pricesIncludeTax! bool; discountAmount
        decimal; discountAppliedBeforeTax! bool; totalAmountExcludingTax! decimal; totalTaxAmount! decimal;
        totalAmountIncludingTax! decimal; status! enum:Draft|In_x0020_Review|Open|Canceled|Corrective|Paid;
        lastModifiedDateTime! datetime; invoiceId guid; invoiceNumber code20; phoneNumber text30; email text80;
        customerReturnReasonId guid
        """,
    ),
    "salesCreditMemoLines": (
        "salesCreditMemoLine",
        "GPMD",
        """
        id! guid; documentId guid; sequence int; itemId guid; accountId guid; lineType
        enum:Comment|Account|Item|Resource|Fixed_x0020_Asset|Charge|Allocation_x0020_Account; lineObjectNumber
        code20; description text100; description2 text50; unitOfMeasureId guid; unitOfMeasureCode code10; unitPrice
        decimal; quantity decimal; discountAmount decimal; discountPercent decimal; discountAppliedBeforeTax! bool;
        amountExcludingTax! decimal; taxCode code50; taxPercent! decimal; totalTaxAmount! decimal;
        amountIncludingTax! decimal; invoiceDiscountAllocation! decimal; netAmount! decimal; netTaxAmount! decimal;
        netAmountIncludingTax! decimal; shipmentDate date; itemVariantId guid; locationId guid
        """,
    ),
}
