"""Puts every entity set the simulator serves into the registry that paths and $expand look them up in."""

from simulators.business_central.attachments import Attachments
from simulators.business_central.customers import Customers
from simulators.business_central.dimension_set_lines import DimensionSetLines
from simulators.business_central.document_resources import DocumentLines, Documents
from simulators.business_central.items import Items
from simulators.business_central.resources import RESOURCES, register_lists
from simulators.business_central.sales_documents import CREDIT_MEMO, INVOICE


def register_resources() -> None:
    """Fill the registry; a second call changes nothing."""
    if RESOURCES:
        return
    register_lists()
    documents = [Documents(kind) for kind in (INVOICE, CREDIT_MEMO)]
    lines = [DocumentLines(document.kind, document) for document in documents]
    own = [
        Customers("customers"),
        Items("items"),
        DimensionSetLines("dimensionSetLines"),
        Attachments("attachments"),
    ]
    RESOURCES.update({resource.set_name: resource for resource in [*own, *documents, *lines]})
