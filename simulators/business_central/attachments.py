"""Content beside records: the PDF of a document, and attachments in two steps (BC facts §15)."""

from simulators.business_central.entities import ZERO_GUID
from simulators.business_central.errors import ApiError, dialog, method_not_allowed, missing_token
from simulators.business_central.odata import Page, list_rows
from simulators.business_central.odata_filter import parse_filter
from simulators.business_central.resources import Call, Resource
from simulators.business_central.sales_documents import KINDS
from simulators.business_central.store import Json, Row, Table
from simulators.business_central.values import read_body
from simulators.business_central.wire import Reply, Request, json_reply

_OCTETS = "application/octet-stream"
_PARENT_TYPES = {kind.parent_type: kind.set_name for kind in KINDS.values()}
_REFUSED = frozenset({"Employee", "Job", "Item", "Customer", "Vendor"})


class Attachments(Resource):
    """Files of incoming documents: the record first, its content by a second PATCH."""

    streams = frozenset({"attachmentContent"})

    def page(self, call: Call) -> Page:
        """List the attachments of one parent."""
        node = parse_filter(call.query.filter, self.entity) if call.query.filter else None
        if node is None or node.equal is None or node.equal[0] not in {"id", "parentId"}:
            raise dialog("You must specify an Id or a Parent Id to get the attachments.")
        return list_rows(self.table(call.company).rows.values(), self.entity, call.query, call.page_size)

    def insert(self, call: Call) -> Row:
        """Create the record of a file that has no content yet."""
        body = read_body(self.entity, call.body)
        parent_type = body.get("parentType", "")
        if parent_type in _REFUSED:
            raise dialog(f"Attachments are not supported for {parent_type}: use documentAttachments.")
        parent = call.company.get(_PARENT_TYPES.get(parent_type, "salesInvoices"), body.get("parentId", ZERO_GUID))
        if parent is None:
            raise dialog("The parent of the attachment cannot be found.")
        return self.table(call.company).insert(
            body | {"fileName": body.get("fileName") or "filename.txt"}, {"content": b""}
        )

    def show(self, call: Call, row: Row) -> Json:
        """Render with links to the content, never the content itself."""
        link = f"{call.origin}/attachments({row.wire['id']})/attachmentContent"
        links = {f"attachmentContent@odata.media{verb}Link": link for verb in ("Edit", "Read")}
        return super().show(call, row) | links


def content_of(call: Call, resource: Resource, row: Row, stream: str, request: Request) -> Reply:
    """Serve `pdfDocument`, its content, or the content of an attachment."""
    if stream == "attachmentContent":
        return _attachment_content(resource.table(call.company), row, request)
    if request.method != "GET":
        raise method_not_allowed(request.method, stream)
    if stream == "pdfDocument/pdfDocumentContent":
        return Reply(200, f"%PDF-1.4 {row.wire['number']}".encode(), content_type=_OCTETS)
    parent_type = next(kind.parent_type for kind in KINDS.values() if kind.set_name == resource.set_name)
    link = f"{request.origin()}{request.path}/pdfDocumentContent"
    body = {"id": row.wire["id"], "parentId": row.wire["id"], "parentType": parent_type}
    return json_reply(200, body | {"pdfDocumentContent@odata.mediaReadLink": link})


def _attachment_content(table: Table, row: Row, request: Request) -> Reply:
    if request.method == "GET":
        return Reply(200, row.hidden["content"], content_type=_OCTETS)
    if request.method != "PATCH":
        raise method_not_allowed(request.method, "attachmentContent")
    if not request.headers.get("if-match"):
        raise missing_token()
    if not request.headers.get("content-type", "").startswith(_OCTETS):
        raise ApiError(415, "BadRequest", "The content of an attachment is application/octet-stream.")
    table.replace(row, row.wire | {"byteSize": len(request.body)}, {"content": request.body})
    return Reply(204)
