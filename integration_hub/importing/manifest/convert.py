"""A manifest, as a proposal: integrations, streams, tables, questions, and what could not be converted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from integration_hub.importing.checks import checked
from integration_hub.importing.documents import ImportRefused, read_document
from integration_hub.importing.field_names import slug, stream_name, table_name
from integration_hub.importing.manifest.authentication import Credentials, credentials_of
from integration_hub.importing.manifest.components import Component, Manifest
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.draft import Draft
from integration_hub.importing.manifest.error_handlers import Rule, rules_of
from integration_hub.importing.manifest.expressions import text_of
from integration_hub.importing.manifest.increments import increment, settle
from integration_hub.importing.manifest.paging import paginate, spelled_out
from integration_hub.importing.manifest.partitions import partition
from integration_hub.importing.manifest.questions import asked, questions_of
from integration_hub.importing.manifest.records import (
	choose,
	identify,
	map_fields,
	schema_of,
	select,
	transform,
)
from integration_hub.importing.manifest.requests import base_parts, finish_request, request
from integration_hub.importing.proposal import Complaint, Complaints, Proposal, Question
from integration_hub.lazy_messages import _
from integration_hub.stores.doctype_tables import doctypes
from integration_hub.sync.config import StreamConfig

_PLACE = re.compile(r"[^/]*\{[^{}]*\}[^/]*")
_SAID = ("integration", "mode", "id_path", "target_doctype")
_MOST_STREAMS = 500
_DEEPEST = 5  # parents of parents


@dataclass
class _Done:
	"""A stream that is converted, and what it needs of its integration."""

	draft: Draft
	base_url: str
	credentials: Credentials
	rules: list[Rule]
	table: dict[str, str]


@dataclass
class _Converter:
	"""Converts streams, parents first, each once."""

	conversion: Conversion
	name: str
	done: dict[str, _Done] = field(default_factory=dict)
	seen: dict[str, Draft | None] = field(default_factory=dict)

	def stream(self, stream: Component, depth: int = 0) -> Draft | None:
		"""Convert a stream, or return what it became before; None for one that cannot be."""
		key = repr((stream.own, stream.parameters))
		if key not in self.seen:
			self.seen[key] = None  # a parent of itself
			self.seen[key] = self._converted(stream, depth)
		return self.seen[key]

	def _converted(self, stream: Component, depth: int) -> Draft | None:
		retriever = stream.child("retriever")
		title = text_of(self.conversion.constant(stream, "name", "")) or f"stream-{len(self.done) + 1}"
		if len(self.done) >= _MOST_STREAMS or depth > _DEEPEST:
			stream.complain(
				_("there are more than {0} streams, or {1} levels of them", _MOST_STREAMS, _DEEPEST)
			)
			return None
		if retriever is None or retriever.type != "SimpleRetriever":
			_refuse(stream, retriever)
			return None
		requester = retriever.child("requester")
		if requester is None or requester.type != "HttpRequester":
			_refuse(retriever, requester)
			return None
		draft = Draft("")
		done = self._written(stream, retriever, requester, draft, depth)
		draft.name = stream_name(self.name, title, self.done)
		draft.settings["target_doctype"] = table_name(self.name, draft.name.removeprefix(f"{self.name}-"))
		self.done[draft.name] = done
		return draft

	def _written(
		self, stream: Component, retriever: Component, requester: Component, draft: Draft, depth: int
	) -> _Done:
		conversion, schema = self.conversion, schema_of(self.conversion, stream)
		credentials = credentials_of(conversion, requester)
		select(conversion, retriever, draft)
		increment(conversion, stream, retriever, draft)
		partition(conversion, retriever, draft, lambda parent: self.stream(parent, depth + 1))
		paginate(conversion, retriever, draft)
		base = request(conversion, requester, draft, credentials)
		spelled_out(draft)
		finish_request(requester, draft)
		transform(conversion, stream, retriever, draft)
		choose(conversion, retriever, draft)
		settle(stream, draft)
		identify(conversion, stream, draft, schema)
		stream.complain_of("file_uploader")
		retriever.complain_of("pagination_reset", "additional_query_properties")
		_check_decoder(retriever)
		table = map_fields(conversion, draft, schema)
		return _Done(draft, base, credentials, rules_of(conversion, requester), table)


def _check_decoder(retriever: Component) -> None:
	decoder = retriever.child("decoder")
	if decoder and decoder.type != "JsonDecoder":
		decoder.complain(_("{0} has no equal", decoder.type))


def _refuse(one: Component, found: Component | None) -> None:
	place = found or one
	if "class_name" in place.own:
		place.complain(_("carries code of its own ({0})", text_of(place.own["class_name"])[:80]))
	else:
		place.complain(_("{0} has no equal", place.type or "?"))


def convert_manifest(text: str, name: str, answers: Mapping[str, Any] | None = None) -> Proposal:
	"""Return what a manifest becomes with some answers to its questions. Raises ImportRefused.

	name: what the integration is called. Nothing is fetched, and nothing of the manifest executed.
	"""
	complaints = Complaints()
	root = Manifest(read_document(text), complaints).root()
	if not isinstance(root.own.get("streams"), list | str | dict) and not root.own.get("dynamic_streams"):
		raise ImportRefused(_("is no manifest: it has no streams"))
	questions = questions_of(root.get("spec"))
	conversion = Conversion(root.manifest, questions, answers or {})
	converter = _Converter(conversion, slug(name))
	root.complain_of("dynamic_streams")
	for stream in root.children("streams"):
		if stream.type != "DeclarativeStream":
			stream.complain(_("{0} has no equal", stream.type or "?"))
			continue
		converter.stream(stream)
	return checked(_proposal(converter, complaints))


def _proposal(converter: _Converter, complaints: Complaints) -> Proposal:
	integrations, secrets = _integrations(converter)
	streams = {name: _settings(done.draft) for name, done in converter.done.items()}
	tables = {done.draft.settings["target_doctype"]: done.table for done in converter.done.values()}
	conversion = converter.conversion
	if not converter.conversion.manifest.document.get("spec"):  # then nothing else says what there is to ask
		known = {question.name for question in conversion.questions}
		unasked = sorted(conversion.missing - known - set(conversion.answers))
		conversion.questions += [Question(name, label=name) for name in unasked]
	for name, row in streams.items():
		complaints.extend(_parent_elsewhere(name, row, streams))
	return Proposal(
		integrations,
		streams,
		tables,
		secrets,
		tuple(asked(conversion.questions, conversion.answers)),
		tuple(complaints),
		tuple(conversion.notes),
	)


def _settings(draft: Draft) -> dict[str, Any]:
	"""Return a stream's settings in the order of the form, without those that are as usual."""
	usual = {one.name: one.default for one in fields(StreamConfig)}
	order = [field_["fieldname"] for field_ in doctypes()["Sync Settings"]["fields"]]
	found = {
		name: value
		for name, value in draft.settings.items()
		if not name.startswith("_") and (name in _SAID or usual.get(name) != value)
	}
	return dict(
		sorted(found.items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))
	)


def _parent_elsewhere(name: str, row: Mapping[str, Any], streams: Mapping[str, Any]) -> list[Complaint]:
	parent = streams.get(row.get("parent_stream", ""))
	if parent is None or parent["integration"] == row["integration"]:
		return []
	return [Complaint(name, _("its parent stream is of another host, or has other credentials"))]


def _integrations(converter: _Converter) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, str]]]:
	"""Group streams by host and credentials; each group is an integration."""
	groups: dict[tuple[str, str], list[_Done]] = {}
	for done in converter.done.values():
		groups.setdefault((base_parts(done.base_url)[0], done.credentials.key), []).append(done)
	integrations, secrets = {}, {}
	for number, ((origin, _key), several) in enumerate(groups.items(), 1):
		name = converter.name if number == 1 else f"{converter.name}-{number}"
		integrations[name] = _integration(origin, several)
		secrets[name] = {field_: text for field_, text in several[0].credentials.secrets.items() if text}
		for done in several:
			done.draft.settings = {"integration": name, **done.draft.settings}
	return integrations, secrets


def _integration(origin: str, several: list[_Done]) -> dict[str, Any]:
	"""Return an integration's settings, and take what its base URL says already from the endpoints."""
	paths = [base_parts(done.base_url)[1] for done in several]
	shared = _shared(paths)
	for done, path in zip(several, paths, strict=True):
		endpoint = str(done.draft.settings.get("endpoint", ""))
		rest = "/".join((*path[len(shared) :], endpoint.lstrip("/")))
		done.draft.settings["endpoint"] = f"/{rest}" if rest else "/"
	common = [rule for rule in several[0].rules if all(rule in done.rules for done in several)]
	same = all(done.rules == several[0].rules for done in several)
	settings = {"base_url": "/".join((origin, *shared)), **several[0].credentials.settings}
	if common and same:
		settings["answer_rules"] = common
	elif not same:
		settings["answer_rules"] = list(_rules_by_path(several, shared))
	return settings


def _rules_by_path(several: list[_Done], shared: list[str]) -> Iterator[Rule]:
	"""Return the rules of streams that have different ones, each for the addresses of its stream."""
	seen = set()
	for done in several:
		path = _PLACE.sub("*", "/".join((*shared, str(done.draft.settings["endpoint"]).strip("/"))))
		for rule in done.rules:
			one = {**rule, "path": path}
			if (key := repr(sorted(one.items()))) not in seen:
				seen.add(key)
				yield one


def _shared(paths: list[list[str]]) -> list[str]:
	"""Return the parts that all paths begin with."""
	found = []
	for parts in zip(*paths, strict=False):
		if len(set(parts)) > 1:
			break
		found.append(parts[0])
	return found
