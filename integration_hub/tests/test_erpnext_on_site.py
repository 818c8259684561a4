"""The page on ERPNext, run on a site that has it: orders of a shop become orders, invoices and payments, once."""

import re
import tempfile
from pathlib import Path
from unittest import SkipTest

import frappe
from frappe.utils import flt

import integration_hub
from integration_hub.runtime.frappe.import_hub_toml import load_into_site
from integration_hub.runtime.frappe.mappers import HOOK
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase
from integration_hub.tests.test_writing_on_site import make_stream

PAGE = Path(integration_hub.__file__).parent.parent / "docs" / "erpnext.md"
STREAMS = ("shop-customers", "shop-items", "shop-orders", "shop-invoices", "shop-payments")


def order(number: int, tag: str, **values) -> dict:
	"""Return an order of the shop; tag: keeps its customer and items apart from those of other tests."""
	return {
		"id": number,
		"name": f"#{tag}-{number}",
		"created_at": "2026-06-01T10:00:00Z",
		"paid_at": None,
		"cancelled_at": None,
		"customer": {"id": 100 + number, "first_name": "Hub", "last_name": f"{tag} {number} "},
		"lines": [
			{"sku": f"{tag}-a", "title": "A", "quantity": 2, "price": "1.019,99 €"},
			{"sku": f"{tag}-b", "title": "B", "quantity": "1", "price": "0,05"},
		],
		**values,
	}


class TestShop(HubTestCase):
	@classmethod
	def setUpClass(cls) -> None:
		if "erpnext" not in frappe.get_installed_apps():
			raise SkipTest("ERPNext is not installed on this site")
		if not PAGE.exists():
			raise SkipTest("the app was installed without its docs")
		super().setUpClass()

	def setUp(self) -> None:
		super().setUp()
		tag = frappe.generate_hash(length=8)
		self.orders = [order(1, tag), order(2, tag, paid_at="2026-06-02T10:00:00Z")]
		self.crm.lists["orders"] = self.orders
		text = PAGE.read_text()
		[hub] = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
		frappe.conf[HOOK] = re.findall(r'"(erpnext\.[\w.]+)"', text.partition("```toml")[0])
		self.addCleanup(frappe.conf.pop, HOOK, None)
		self.company = frappe.get_all("Company", pluck="name")[0]
		hub = re.sub(r"\[integration.*?\n\n", "", hub, count=1, flags=re.DOTALL).replace(
			"Hub Co", self.company
		)
		cash = frappe.get_all(
			"Account", {"company": self.company, "account_type": "Cash", "is_group": 0}, pluck="name"
		)
		hub = hub.replace("Cash - HC", cash[0]).replace('integration = "shop"', 'integration = "crm"')
		with tempfile.TemporaryDirectory() as folder:
			(Path(folder) / "hub.toml").write_text(hub)
			list(load_into_site(self.runtime, Path(folder) / "hub.toml", ""))
		frappe.db.commit()

	def run_all(self) -> dict[str, tuple]:
		found = {}
		for stream in STREAMS:
			run = run_stream(self.runtime, stream)
			found[stream] = (run["created"], run["updated"], run["failed"], run["error"])
			frappe.db.commit()
		return found

	def documents(self, stream: str, number: int) -> list:
		filters = {"stream": stream, "external_id": str(number)}
		rows = frappe.get_all("External Record", filters, ["target_doctype", "target_name"])
		return [frappe.get_doc(row.target_doctype, row.target_name) for row in rows if row.target_name]

	def test_orders_are_submitted_and_the_paid_ones_invoiced_and_paid_once(self):
		first = self.run_all()
		self.assertEqual([made[0] for made in first.values()], [2, 2, 2, 1, 1], first)
		again = self.run_all()
		self.assertEqual([made[:3] for made in again.values()], [(0, 0, 0)] * 5, again)
		[sale] = self.documents("shop-orders", 2)
		[invoice] = self.documents("shop-invoices", 2)
		[payment] = self.documents("shop-payments", 2)
		self.assertEqual((sale.docstatus, invoice.docstatus, payment.docstatus), (1, 1, 1))
		self.assertEqual(flt(sale.total, 2), 2040.03)
		self.assertEqual(flt(invoice.total, 2), 2040.03)
		self.assertEqual(invoice.items[0].sales_order, sale.name)
		self.assertEqual(str(invoice.posting_date), "2026-06-02")
		self.assertEqual((flt(invoice.outstanding_amount, 2), invoice.status), (0, "Paid"))
		self.assertEqual(payment.references[0].reference_name, invoice.name)
		self.assertEqual(self.documents("shop-invoices", 1), [])

	def test_a_later_payment_makes_its_documents_and_a_cancellation_is_said_once(self):
		self.run_all()
		self.orders[0].update(paid_at="2026-06-03T10:00:00Z")
		paid = self.run_all()
		self.assertEqual([made[0] for made in paid.values()], [0, 0, 0, 1, 1], paid)
		self.orders[0].update(cancelled_at="2026-06-04T10:00:00Z")
		cancelled = self.run_all()
		self.assertEqual(cancelled["shop-orders"][2], 1, cancelled)
		[sale] = self.documents("shop-orders", 1)
		[invoice] = self.documents("shop-invoices", 1)
		self.assertEqual(sale.docstatus, 1)
		self.assertIn(invoice.name, cancelled["shop-orders"][3])
		self.assertEqual([made[2] for made in self.run_all().values()], [0] * 5)

	def test_an_order_without_documents_behind_is_cancelled(self):
		self.run_all()
		self.orders[0].update(cancelled_at="2026-06-04T10:00:00Z")
		self.run_all()
		self.assertEqual(self.documents("shop-orders", 1)[0].docstatus, 2)

	def test_a_delivery_and_a_refund_come_from_the_documents_before_them(self):
		path = "erpnext.selling.doctype.sales_order.sales_order.make_delivery_note"
		back = "erpnext.accounts.doctype.sales_invoice.sales_invoice.make_sales_return"
		frappe.conf[HOOK] += [path, back]
		for name, doctype, mapper, source, skip in (
			("shop-deliveries", "Delivery Note", path, "shop-orders", "!shipped"),
			("shop-refunds", "Sales Invoice", back, "shop-invoices", "!refunded"),
		):
			if frappe.db.exists("Sync Settings", name):
				frappe.delete_doc("Sync Settings", name, force=True)
			values = {"target_doctype": doctype, "mapper": mapper, "made_from": source, "skip_when": skip}
			listed = {
				"endpoint": "/v1/orders",
				"pagination": "None",
				"more_path": "",
				"deletion_policy": "Keep",
			}
			make_stream(name, [], **listed, **values, after_writing="Submit")
		self.run_all()
		self.orders[1].update(shipped=True, refunded=True)
		for name in ("shop-deliveries", "shop-refunds", "shop-deliveries", "shop-refunds"):
			run = run_stream(self.runtime, name)
			frappe.db.commit()
			self.assertEqual(run["failed"], 0, run["error"])
		[delivery] = self.documents("shop-deliveries", 2)
		[refund] = self.documents("shop-refunds", 2)
		[sale] = self.documents("shop-orders", 2)
		self.assertEqual((delivery.docstatus, delivery.items[0].against_sales_order), (1, sale.name))
		self.assertEqual((refund.docstatus, refund.is_return, flt(refund.total, 2)), (1, 1, -2040.03))
