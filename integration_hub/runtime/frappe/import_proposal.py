"""A proposal into a site: an integration, its streams and their DocTypes, all of them switched off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import frappe

from integration_hub.importing.proposal import Proposal
from integration_hub.runtime.frappe.import_hub_toml import make_doctype, save_document
from integration_hub.stores.runtime import HubError

Secrets = Mapping[str, Mapping[str, str]]


def make_documents(proposal: Proposal, secrets: Secrets) -> list[str]:
	"""Make the documents of a proposal as the current user; say which. The caller's transaction makes it all or nothing.

	secrets: integration → Password field → value. Raises HubError where a name is taken, or a document is refused.
	"""
	_check_names(proposal)
	said: list[str] = []
	for name, fields in proposal.tables.items():
		rows = {field: {"fieldname": field, "fieldtype": kind} for field, kind in fields.items()}
		said += make_doctype(name, rows, False)
	for name, row in proposal.integrations.items():
		said.append(
			save_document("Integration Settings", name, {**row, **secrets.get(name, {}), "enabled": 0})
		)
	for name, row in _parents_first(proposal.streams):
		mapping = [{"field": field, "source_path": path} for field, path in row["mapping"].items()]
		said.append(save_document("Sync Settings", name, {**row, "mapping": mapping, "enabled": 0}))
	return said


def _check_names(proposal: Proposal) -> None:
	for doctype, names in (
		("Integration Settings", proposal.integrations),
		("Sync Settings", proposal.streams),
		("DocType", proposal.tables),
	):
		for name in names:
			if frappe.db.exists(doctype, name):
				raise HubError("is there already; choose another name", doctype=doctype, name=name)


def _parents_first(streams: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
	"""Return streams in an order in which each follows its parent, whatever order they are in."""
	left = dict(streams)
	while left:
		ready = [name for name, row in left.items() if row.get("parent_stream") not in left]
		for name in ready or list(left):
			yield name, left.pop(name)


def load_into_site(runtime: Any, proposal: Proposal, secrets: Secrets) -> list[str]:
	"""Make the documents of a proposal as the administrator, all or nothing; say which."""
	with runtime.db.transaction(), runtime.as_user("Administrator"):
		return make_documents(proposal, secrets)
