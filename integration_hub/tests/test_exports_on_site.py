"""Every way Frappe has of exporting this app's DocTypes gives tables whose cells calculate nothing."""

import csv
import io
import json
from collections import namedtuple
from unittest.mock import patch

import frappe
import requests
from frappe.core.doctype.prepared_report.prepared_report import generate_report
from openpyxl import load_workbook

from integration_hub.integration_hub.doctype.integration_settings.integration_settings import MASK
from integration_hub.stores import inbox
from integration_hub.tests.support import HubTestCase, site_endpoint

Answer = namedtuple("Answer", "content")
HOSTILE = ("=1+1", "+1+cmd|x!A1", "-1+1", "@SUM(A1)", "\t=1", "＝1+1")
_FIELDS = ["`tabWebhook Log`.`event_id`", "`tabWebhook Log`.`event_type`", "`tabWebhook Log`.`integration`"]


class TestExports(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		for number, text in enumerate(HOSTILE):
			event = inbox.Event("crm", f"{text}{number}", text, "{}", str(number), "HTTP", unrouted=True)
			inbox.store(self.runtime, [event])
		todo = frappe.get_doc({"doctype": "ToDo", "description": "=1+1"}).insert()
		self.addCleanup(lambda: (frappe.delete_doc("ToDo", todo.name, force=True), frappe.db.commit()))
		user = frappe.get_doc("User", "Administrator")
		self.key, user.api_key = (
			frappe.generate_hash(length=15),
			user.api_key or frappe.generate_hash(length=15),
		)
		user.api_secret = self.key
		user.save()
		frappe.db.commit()
		self.token = f"token {user.api_key}:{self.key}"

	def fetch(self, method: str, **form) -> requests.Response:
		with site_endpoint() as url:
			base = url.partition("/api/")[0]
			headers = {"Host": frappe.local.site, "Authorization": self.token}
			answer = requests.post(
				f"{base}/api/method/{method}",
				data=form,
				headers={**headers, "X-Frappe-Site-Name": frappe.local.site},
				timeout=60,
			)
		self.assertEqual(answer.status_code, 200, answer.text[:1000])
		return answer

	def rows(self, answer: requests.Response) -> list[list]:
		if answer.content[:2] == b"PK":
			return [
				[*row] for row in load_workbook(io.BytesIO(answer.content)).active.iter_rows(values_only=True)
			]
		return [*csv.reader(io.StringIO(answer.content.decode(), newline=""))]

	def assertText(self, answer: requests.Response) -> None:
		cells = [cell for row in self.rows(answer) for cell in row if isinstance(cell, str)]
		self.assertFalse([cell for cell in cells if cell[:1] in "=+-@\t＝" and cell[:1]], cells)
		for text in ("=1+1", "@SUM(A1)"):
			self.assertTrue([cell for cell in cells if f"'{text}" in cell], cells)

	def test_the_lists_export(self):
		for kind in ("CSV", "Excel"):
			for path in ("frappe.desk.reportview.export_query",):
				answer = self.fetch(
					path,
					doctype="Webhook Log",
					file_format_type=kind,
					fields=json.dumps(_FIELDS),
					filters="[]",
					title="Webhook Log",
				)
				self.assertText(answer)

	def test_data_export(self):
		for kind in ("CSV", "Excel"):
			answer = self.fetch(
				"frappe.core.doctype.data_export.exporter.export_data",
				doctype="Webhook Log",
				with_data=1,
				file_type=kind,
				select_columns=json.dumps({"Webhook Log": ["name", "event_id", "event_type"]}),
				filters="[]",
			)
			self.assertText(answer)

	def test_data_import_template(self):
		for kind in ("CSV", "Excel"):
			answer = self.fetch(
				"frappe.core.doctype.data_import.data_import.download_template",
				doctype="Webhook Log",
				file_type=kind,
				export_fields=json.dumps({"Webhook Log": ["name", "event_id", "event_type"]}),
				export_records="all",
				export_filters="[]",
			)
			self.assertText(answer)

	def report(self, ref_doctype: str = "Webhook Log", **more) -> str:
		"""Make a report of the types of all events; return its name."""
		quoted = "'" if frappe.db.db_type == "mariadb" else '"'
		tick = "`" if frappe.db.db_type == "mariadb" else '"'
		report = {
			"doctype": "Report",
			"report_name": f"Events of Strangers {frappe.generate_hash(length=6)}",
			"ref_doctype": ref_doctype,
			"report_type": "Query Report",
			"is_standard": "No",
			"query": f"SELECT event_type AS {quoted}Type:Data:200{quoted} FROM {tick}tabWebhook Log{tick}",
			**more,
		}
		doc = frappe.get_doc(report).insert()
		frappe.db.commit()
		self.addCleanup(lambda: (frappe.delete_doc("Report", doc.name, force=True), frappe.db.commit()))
		return doc.name

	def test_a_report(self):
		for kind in ("CSV", "Excel"):
			answer = self.fetch(
				"frappe.desk.query_report.export_query",
				report_name=self.report(),
				file_format_type=kind,
				filters="{}",
				visible_idx="[]",
			)
			self.assertText(answer)

	def test_a_report_that_a_job_has_prepared(self):
		name = self.report(prepared_report=1)
		doc = frappe.get_doc({"doctype": "Prepared Report", "report_name": name, "filters": "{}"})
		with patch("frappe.core.doctype.prepared_report.prepared_report.enqueue"):
			doc.insert()
		frappe.db.commit()
		generate_report(doc.name)
		frappe.db.commit()
		for kind in ("CSV", "Excel"):
			answer = self.fetch(
				"frappe.desk.query_report.export_query",
				report_name=name,
				file_format_type=kind,
				filters=json.dumps({"prepared_report_name": doc.name}),
				visible_idx="[]",
			)
			self.assertText(answer)

	def mailed(self, report: str, kind: str) -> Answer:
		"""Return what an Auto Email Report attaches."""
		values = {"report": report, "user": "Administrator", "email_to": "a@example.com", "format": kind}
		mail = frappe.get_doc({"doctype": "Auto Email Report", "frequency": "Daily", **values}).insert()
		self.addCleanup(lambda: frappe.delete_doc("Auto Email Report", mail.name, force=True))
		content = frappe.get_doc("Auto Email Report", mail.name).get_report_content()
		return Answer(content.encode() if isinstance(content, str) else content)

	def test_a_report_that_is_mailed(self):
		name = self.report()
		for kind in ("CSV", "XLSX"):
			self.assertText(self.mailed(name, kind))
		self.assertIn("=1+1", frappe.utils.cstr(self.mailed(name, "HTML").content))

	def test_mailed_reports_of_others_stay_as_they_are(self):
		cells = [cell for row in self.rows(self.mailed(self.report("ToDo"), "CSV")) for cell in row]
		self.assertIn("=1+1", cells)

	def test_exports_of_others_stay_as_they_are(self):
		answer = self.fetch(
			"frappe.desk.reportview.export_query",
			doctype="ToDo",
			file_format_type="CSV",
			fields=json.dumps(["`tabToDo`.`description`"]),
			filters="[]",
			title="ToDo",
		)
		self.assertIn("=1+1", [cell for row in self.rows(answer) for cell in row])

	def test_a_mask_does_not_show_how_long_a_secret_is(self):
		for secret in ("short", "a secret that is much longer than the other"):
			settings = frappe.get_doc("Integration Settings", "crm")
			settings.webhook_secret = secret
			settings.save()
			self.assertEqual(settings.webhook_secret, MASK)
			frappe.db.commit()
			self.assertEqual(frappe.db.get_value("Integration Settings", "crm", "webhook_secret"), MASK)
			again = frappe.get_doc("Integration Settings", "crm")
			again.save()
			self.assertEqual(again.get_password("webhook_secret"), secret)
