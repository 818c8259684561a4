"""Values arrive in documents as the source has them, or the record fails, in both ways of writing."""

import frappe

from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, drop_doctypes, errors
from integration_hub.tests.test_writing_on_site import make_doctype, make_stream

DOCTYPE = "Hub Test Value"
KINDS = {
	"price": "Float",
	"amount": "Currency",
	"pieces": "Int",
	"born": "Date",
	"at": "Datetime",
	"note": "Data",
}
ROWS = [{"source_path": "id", "field": "customer_id"}] + [
	{"source_path": f"odd.{name}", "field": name} for name in KINDS
]
FAILS = [
	("price", "12,50"),
	("price", "1.234,56"),
	("amount", "N/A"),
	("amount", 10**400),
	("pieces", "12 pieces"),
	("pieces", "1_000"),
	("pieces", 2**40),
	("born", "31.01.2026"),
	("born", "0031-05-12"),
	("at", "yesterday"),
	("at", 1772366400),
]
ARRIVES = [
	("price", "12.50", 12.5),
	("pieces", "5.0000", 5),
	("born", "0000-00-00", None),
	("at", "0001-01-01T00:00:00Z", None),
	("at", "2026-03-01T12:00:00", "2026-03-01 12:00:00"),
	("note", 99999999999999.98, "99999999999999.98"),
	("note", 2**64, "18446744073709551616"),
	("note", True, "true"),
]


class TestValues(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		fields = [
			{"fieldname": "customer_id", "fieldtype": "Data", "label": "Customer"},
			*({"fieldname": name, "fieldtype": kind, "label": name.title()} for name, kind in KINDS.items()),
		]
		make_doctype(DOCTYPE, fields)
		frappe.db.delete(DOCTYPE)
		frappe.db.commit()

	@classmethod
	def tearDownClass(cls) -> None:
		drop_doctypes(DOCTYPE)
		super().tearDownClass()

	def run_with(self, values: dict[str, dict], mode: str) -> dict:
		for record in self.crm.customers._rows.values():
			record["odd"] = {"price": 1, "born": "2026-01-31", **values.get(record["id"], {})}
		make_stream(f"values-{mode}", ROWS, target_doctype=DOCTYPE, write_mode=mode)
		run = run_stream(self.runtime, f"values-{mode}")
		frappe.db.commit()
		return run

	def test_what_cannot_be_fails_alone_and_names_its_field(self):
		for mode in ("Documents", "Bulk"):
			with self.subTest(mode=mode):
				ids = {f"CUST-{n:06}": pair for n, pair in enumerate(FAILS, 1)}
				run = self.run_with({id: dict([pair]) for id, pair in ids.items()}, mode)
				self.assertEqual((run["status"], run["failed"]), ("Partial", len(FAILS)))
				self.assertEqual(frappe.db.count(DOCTYPE), 120 - len(FAILS))
				kept = frappe.get_all("External Record", {"status": "Failed"}, ["external_id", "error"])
				for record in kept:
					field, _value = ids[record.external_id]
					self.assertTrue(record.error.startswith(f"{field}: "), record)
				frappe.db.delete(DOCTYPE)
				frappe.db.delete("External Record")
				frappe.db.commit()

	def test_what_can_be_arrives_as_it_is(self):
		for mode in ("Documents", "Bulk"):
			with self.subTest(mode=mode):
				ids = {f"CUST-{n:06}": one for n, one in enumerate(ARRIVES, 1)}
				run = self.run_with({id: {field: value} for id, (field, value, _) in ids.items()}, mode)
				self.assertEqual(run["status"], "Completed", errors())
				for id, (field, value, expected) in ids.items():
					found = frappe.db.get_value(DOCTYPE, {"customer_id": id}, field)
					said = str(found) if isinstance(expected, str) else found
					self.assertEqual(said, expected, (field, value))
				frappe.db.delete(DOCTYPE)
				frappe.db.delete("External Record")
				frappe.db.commit()
