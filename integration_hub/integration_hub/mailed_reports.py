"""Auto Email Reports of this app's DocTypes: the table that is attached calculates nothing, as an export does not."""

from __future__ import annotations

import frappe
from frappe.email.doctype.auto_email_report.auto_email_report import AutoEmailReport

from integration_hub.integration_hub import exports


class MailedReport(AutoEmailReport):
	"""An Auto Email Report. Frappe makes its table in a job, where no request tells of it."""

	def get_report_content(self) -> str | bytes | None:
		"""Return the report as Frappe makes it; text throughout, where it is CSV or Excel and the report is of ours."""
		content = super().get_report_content()
		doctype = frappe.db.get_value("Report", self.report, "ref_doctype")
		if not content or self.format not in ("CSV", "XLSX") or not exports.is_ours(doctype):
			return content
		return exports.as_text(content, self.format.lower())
