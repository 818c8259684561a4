"""Looking at a source from a form that may not be saved yet, for who may save it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.errors import ConnectorError
from integration_hub.integration_hub import run_as
from integration_hub.integration_hub.messages import refuse
from integration_hub.integration_hub.settings import refuse as refuse_field
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores.runtime import HubError
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.source_look import look

DOCTYPE = "Sync Settings"
# What does not matter to what is asked of a source, and how its answer is read.
_ELSEWHERE = {
	"name",
	"checkpoint",
	"enabled",
	"target_doctype",
	"write_mode",
	"match_field",
	"cancelled_documents",
	"deletion_policy",
	"disable_field",
	"disable_value",
	"enable_value",
	"max_delete_count",
	"max_delete_percent",
	"schedule",
	"interval_minutes",
	"cron",
	"alert_after",
	"mapping",
}
ASKED = tuple(field.name for field in fields(StreamConfig) if field.name not in _ELSEWHERE)


def look_at_source(given: str | Mapping[str, Any]) -> dict[str, Any]:
	"""Return what is at a source; see sync.source_look.look. given: the values of the form, saved or not.

	Only who could save a stream like that is shown it: the call goes out with the integration's credentials.
	"""
	doc = _document(frappe.parse_json(given))
	run_as.check_stream(doc)
	frappe.has_permission("Integration Settings", "read", doc.integration, throw=True)
	try:
		config = StreamConfig.from_row({**doc.as_dict(), "name": doc.name or DOCTYPE}, ())
	except ValueError as error:
		refuse_field(doc, "", str(error))
	for field in ("integration", "endpoint"):
		if not getattr(config, field):
			refuse_field(doc, field, _("is empty"))
	if config.records_path and (problem := path_problem(config.records_path)):
		refuse_field(doc, "records_path", problem)
	try:
		return look(FrappeRuntime(), config)
	except (ConnectorError, HubError) as error:
		refuse(error, _("The source could not be read"))
	finally:
		frappe.db.rollback()  # what a connector of another app may have written on the way


def _document(values: Mapping[str, Any]) -> Document:
	"""Return the stream as it would be saved; raises PermissionError unless the user may write it."""
	asked = {field: values[field] for field in ASKED if field in values}
	if values.get("name") and frappe.db.exists(DOCTYPE, values["name"]):
		doc = frappe.get_doc(DOCTYPE, values["name"])
		doc.check_permission("write")
		doc.load_doc_before_save()
	else:
		frappe.has_permission(DOCTYPE, "create", throw=True)
		doc = frappe.new_doc(DOCTYPE)
	doc.update(asked)
	return doc
