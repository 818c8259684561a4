"""Import in Desk: what a description becomes is shown first, and made when a System Manager says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import frappe
from frappe import _

from integration_hub.importing.answering import chosen, read_answers, unanswered
from integration_hub.importing.documents import ImportRefused
from integration_hub.importing.manifest.convert import convert_manifest
from integration_hub.importing.manifest.secret_marks import filled
from integration_hub.importing.openapi.convert import convert_openapi
from integration_hub.importing.proposal import Proposal
from integration_hub.integration_hub import run_as
from integration_hub.integration_hub.messages import in_language, refuse
from integration_hub.runtime.frappe.import_proposal import make_documents
from integration_hub.stores.runtime import HubError

KINDS: dict[str, Callable[[str, str, Mapping[str, Any]], Proposal]] = {
	"Airbyte Manifest": convert_manifest,
	"OpenAPI": convert_openapi,
}
_MOST = 300  # complaints that are shown


def describe(kind: str, text: str, name: str, answers: Mapping[str, Any]) -> dict[str, Any]:
	"""Return what a description would become: questions, streams, hosts, and what does not convert."""
	proposal = _proposal(kind, text, name, answers)
	complaints = proposal.complaints
	return {
		"questions": [asdict(question) for question in proposal.questions],
		"unanswered": [question.name for question in unanswered(proposal.questions, answers)],
		"streams": [
			{"name": stream, "title": row["target_doctype"], "parent": row.get("parent_stream", "")}
			for stream, row in proposal.streams.items()
		],
		"hosts": proposal.hosts,
		"complaints": [{"path": one.path, "reason": in_language(one.reason)} for one in complaints[:_MOST]],
		"complaint_count": len(complaints),
	}


def make(
	kind: str,
	text: str,
	name: str,
	answers: Mapping[str, Any],
	secrets: Mapping[str, str],
	streams: list[str],
) -> list[str]:
	"""Make the documents of a description, switched off; return the integrations' names."""
	proposal = _proposal(kind, text, name, answers)
	if missing := unanswered(proposal.questions, answers):
		frappe.throw(_("Answer {0}.").format(", ".join(frappe.bold(one.label) for one in missing)))
	try:
		proposal = chosen(proposal, streams)
		make_documents(proposal, _values(proposal, secrets))
	except (ImportRefused, HubError) as error:
		refuse(error)
	return list(proposal.integrations)


def _values(proposal: Proposal, secrets: Mapping[str, str]) -> dict[str, dict[str, str]]:
	"""Return the values of the Password fields; a secret that was not entered leaves its field to be filled later."""
	known = {
		question.name: secrets.get(question.name) or "" for question in proposal.questions if question.secret
	}
	try:
		return {
			integration: {field: filled(text, known) for field, text in fields.items()}
			for integration, fields in proposal.secrets.items()
		}
	except KeyError as error:
		frappe.throw(_("Answer {0}.").format(str(error)))


def _proposal(kind: str, text: str, name: str, answers: Mapping[str, Any]) -> Proposal:
	"""Return what a description becomes. Raises PermissionError for all but System Managers: DocTypes would be made."""
	if not run_as.is_system_manager():
		frappe.throw(_("Only a System Manager imports integrations."), frappe.PermissionError)
	if kind not in KINDS:
		frappe.throw(_("{0} is not one of {1}").format(kind, ", ".join(KINDS)))
	try:
		questions = KINDS[kind](text, name, {}).questions
		first = KINDS[kind](text, name, read_answers(questions, answers))
		return KINDS[kind](text, name, read_answers(first.questions, answers))
	except ImportRefused as error:
		frappe.throw(in_language(error.args[0]), title=_("Not Read"))


def parsed(text: str | None, kind: type) -> Any:
	"""Return an argument that comes as JSON; an empty one of its kind for none."""
	found = json.loads(text) if isinstance(text, str) and text else text or kind()
	if not isinstance(found, kind):
		frappe.throw(_("The request cannot be read."))
	return found
