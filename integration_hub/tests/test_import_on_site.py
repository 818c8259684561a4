"""Import on a site: documents are made switched off, secrets go into Password fields, and nothing is made by halves."""

import json

import frappe

from integration_hub import api
from integration_hub.tests.support import HubTestCase, drop_doctypes

MANIFEST = """
version: "4.3.0"
type: DeclarativeSource
spec:
  type: Spec
  connection_specification:
    required: [api_key]
    properties:
      api_key: {type: string, airbyte_secret: true}
      regions: {type: array, default: [eu]}
definitions:
  requester:
    type: HttpRequester
    url_base: BASE
    authenticator: {type: ApiKeyAuthenticator, header: X-API-Key, api_token: "{{ config['api_key'] }}"}
    error_handler:
      type: DefaultErrorHandler
      response_filters: [{http_codes: [404], action: IGNORE}]
  selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
  customers:
    type: DeclarativeStream
    name: customers
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {$ref: "#/definitions/requester", path: v1/customers/page}
      record_selector: {$ref: "#/definitions/selector"}
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
        page_size_option: {type: RequestOption, inject_into: request_parameter, field_name: limit}
        pagination_strategy: {type: PageIncrement, page_size: 50, start_from_page: 1}
    schema_loader:
      type: InlineSchemaLoader
      schema: {properties: {id: {type: [integer, string]}, name: {type: string}, tags: {type: array}, active: {type: boolean}}}
  orders:
    type: DeclarativeStream
    name: orders
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {$ref: "#/definitions/requester", path: "v1/customers/{{ stream_partition.customer }}/orders"}
      record_selector: {$ref: "#/definitions/selector"}
      partition_router:
        type: SubstreamPartitionRouter
        parent_stream_configs:
          - {parent_key: id, partition_field: customer, stream: "#/definitions/customers"}
streams: ["#/definitions/orders", "#/definitions/customers"]
"""
KEY = "sandbox-key"
TABLES = ("Imported Customers", "Imported Orders")


class TestImport(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		self.forget()
		self.addCleanup(self.forget)

	def forget(self) -> None:
		"""Delete what an import has made."""
		frappe.db.rollback()
		frappe.set_user("Administrator")
		for doctype, names in (
			("Sync Settings", frappe.get_all("Sync Settings", {"integration": "imported"}, pluck="name")),
			("Integration Settings", ["imported"]),
		):
			for name in names:
				frappe.delete_doc(doctype, name, force=True, ignore_missing=True)
		frappe.db.commit()
		drop_doctypes(*TABLES)

	def described(self, **changes: str) -> dict[str, str]:
		text = MANIFEST.replace("BASE", self.crm.url)
		return {"kind": "Airbyte Manifest", "text": text, "name": "imported", **changes}

	def test_what_a_manifest_becomes_is_shown_and_nothing_is_made(self):
		found = api.describe_import(**self.described())
		self.assertEqual(found["complaints"], [])
		self.assertEqual([row["name"] for row in found["streams"]], ["imported-customers", "imported-orders"])
		self.assertEqual([row["secret"] for row in found["questions"]], [True, False])
		self.assertEqual(found["hosts"], [self.crm.url])
		self.assertFalse(frappe.db.exists("Integration Settings", "imported"))

	def test_documents_are_made_switched_off_with_their_secrets(self):
		made = api.make_import(**self.described(), secrets=json.dumps({"api_key": KEY}))
		self.assertEqual(made, ["imported"])
		doc = frappe.get_doc("Integration Settings", "imported")
		self.assertEqual((doc.enabled, doc.auth_type, doc.get_password("secret")), (0, "API Key Header", KEY))
		self.assertEqual([row.action for row in doc.answer_rules], ["Ignore"])
		self.assertNotIn(KEY, frappe.as_json(doc))
		child = frappe.get_doc("Sync Settings", "imported-orders")
		self.assertEqual((child.enabled, child.parent_stream), (0, "imported-customers"))
		self.assertEqual(frappe.get_meta("Imported Customers").get_field("active").fieldtype, "Check")

	def test_only_chosen_streams_are_made_with_their_parents(self):
		api.make_import(
			**self.described(), secrets=json.dumps({"api_key": KEY}), streams='["imported-customers"]'
		)
		self.assertEqual(
			frappe.get_all("Sync Settings", {"integration": "imported"}, pluck="name"), ["imported-customers"]
		)

	def test_what_is_refused_leaves_nothing(self):
		self.assertRaises(frappe.ValidationError, api.make_import, **self.described())  # without its secret
		frappe.db.rollback()
		for table in TABLES:
			if frappe.db.exists("DocType", table):  # MariaDB commits before it makes a table
				frappe.delete_doc("DocType", table, force=True)
		self.assertFalse(frappe.db.exists("Integration Settings", "imported"))
		for text in ("a: [", "x: 1", "- list"):
			self.assertRaises(frappe.ValidationError, api.describe_import, **self.described(text=text))
		self.assertRaises(frappe.ValidationError, api.describe_import, **self.described(kind="Other"))

	def test_a_name_that_is_taken_is_refused_before_anything_is_made(self):
		self.assertRaises(
			frappe.ValidationError,
			api.make_import,
			**self.described(name="crm"),
			secrets=json.dumps({"api_key": KEY}),
		)
		self.assertFalse(frappe.db.exists("DocType", "Crm Customers"))
