"""Checks of a proposal, as the engine makes them before a run: what it would refuse is a complaint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.importing.proposal import Complaint, Proposal
from integration_hub.lazy_messages import _
from integration_hub.stores.doctype_tables import NO_COLUMN, doctypes
from integration_hub.stores.fields import Fields, fields_of
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.source import MOST_LEVELS
from integration_hub.sync.stream_checks import StreamContext, stream_problems


def checked(proposal: Proposal) -> Proposal:
	"""Return a proposal whose complaints name what the engine would refuse."""
	found = [*_integrations(proposal), *_streams(proposal)]
	return replace(proposal, complaints=tuple(dict.fromkeys((*proposal.complaints, *found))))


def known_settings(doctype: str) -> set[str]:
	"""Return the settings of a DocType, child tables included."""
	return {
		f["fieldname"] for f in doctypes()[doctype]["fields"] if f["fieldtype"] not in NO_COLUMN - {"Table"}
	}


def _integrations(proposal: Proposal) -> Iterator[Complaint]:
	known = known_settings("Integration Settings")
	for name, row in proposal.integrations.items():
		place = f"[integration.{name}]"
		yield from _unknown(place, {**row, **proposal.secrets.get(name, {})}, known)
		try:
			config = IntegrationConfig.from_row({"name": name, **_known(row, IntegrationConfig)})
		except (ValueError, TypeError) as error:
			yield Complaint(place, str(error))
			continue
		# A secret that is empty is none that was forgotten: the manifest has it so.
		secrets = dict.fromkeys(proposal.secrets.get(name, {}), "*****")
		for field, problem in integration_problems(config, secrets):
			yield Complaint(place, f"{field}: {problem}")


def _streams(proposal: Proposal) -> Iterator[Complaint]:
	known = known_settings("Sync Settings")
	context = StreamContext({}, lambda doctype: _fields(proposal, doctype), lambda name: "")
	for name, row in proposal.streams.items():
		place = f"[stream.{name}]"
		yield from _unknown(place, row, known)
		mapping = [{"field": field, "source_path": path} for field, path in row.get("mapping", {}).items()]
		try:
			plain = _known({k: v for k, v in row.items() if k != "mapping"}, StreamConfig)
			stream = StreamConfig.from_row({"name": name, **plain}, mapping)
		except (ValueError, TypeError) as error:
			yield Complaint(place, str(error))
			continue
		if _levels(proposal, name) > MOST_LEVELS:
			yield Complaint(place, _("streams within streams go {0} levels deep at most", MOST_LEVELS))
		for field, problem in stream_problems(stream, _fields(proposal, stream.target_doctype), context):
			yield Complaint(place, f"{field}: {problem}")


def _levels(proposal: Proposal, name: str) -> int:
	"""Return how many streams a stream is within, itself counted."""
	count = 0
	while name in proposal.streams and count <= MOST_LEVELS:
		count, name = count + 1, str(proposal.streams[name].get("parent_stream", ""))
	return count


def _fields(proposal: Proposal, doctype: str) -> Fields:
	rows = ({"fieldname": f, "fieldtype": kind} for f, kind in proposal.tables.get(doctype, {}).items())
	return fields_of(rows)


def _unknown(place: str, row: Mapping[str, Any], known: set[str]) -> Iterator[Complaint]:
	for name in sorted(row.keys() - known):
		yield Complaint(place, _("there is no setting {0}", name))


def _known(row: Mapping[str, Any], kind: type) -> dict[str, Any]:
	return {name: value for name, value in row.items() if name in kind.__dataclass_fields__}
