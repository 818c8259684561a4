"""An OpenAPI document, as a proposal: the lists that its GET operations answer become streams."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from integration_hub.connectors.placeholders import escaped
from integration_hub.importing.checks import checked
from integration_hub.importing.documents import ImportRefused, read_document
from integration_hub.importing.field_names import field_name, slug, stream_name, table_name
from integration_hub.importing.manifest.jmespath_text import path_of
from integration_hub.importing.manifest.records import fieldtype
from integration_hub.importing.openapi.document import Document, Operation
from integration_hub.importing.openapi.lists import Found, changes, id_of, list_of, pagination
from integration_hub.importing.openapi.security import credentials
from integration_hub.importing.proposal import Complaints, Proposal, Question
from integration_hub.lazy_messages import _

_VARIABLE = re.compile(r"\{([^{}]+)\}")
_MOST_FIELDS = 150
_MOST_STREAMS = 200


def convert_openapi(
	text: str, name: str, answers: Mapping[str, Any] | None = None, operations: Collection[str] = ()
) -> Proposal:
	"""Return what an OpenAPI document becomes. Raises ImportRefused.

	operations: ids or paths of those that are wanted; all that answer a list without.
	"""
	return _Converter(Document(read_document(text)), slug(name), answers or {}).proposal(operations)


class _Converter:
	"""Makes streams of operations, each once, and the lists that they are within."""

	def __init__(self, document: Document, name: str, answers: Mapping[str, Any]) -> None:
		self.document, self.name, self.answers = document, name, answers
		self.complaints = Complaints()
		self.questions: dict[str, Question] = {}
		self.streams: dict[str, dict[str, Any]] = {}
		self.tables: dict[str, dict[str, str]] = {}
		self.by_path: dict[str, str] = {}
		self.lists = {one.path: one for one in document.operations()}

	def proposal(self, wanted: Collection[str]) -> Proposal:
		"""Return the proposal for some operations, or all lists."""
		base = str(self.answers.get("base_url") or self.document.base_url()).rstrip("/")
		self._ask(Question("base_url", label=str(_("Base URL")), required=True, default=base or None))
		login = credentials(self.document, self.answers, self.complaints)
		self.questions |= {one.name: one for one in login.questions}
		for operation in self._chosen(wanted):
			if len(self.streams) < _MOST_STREAMS:
				self._stream(operation, bool(wanted))
		for row in self.streams.values():
			row["integration"] = self.name
		settings = {"base_url": base, **login.settings}
		found = Proposal(
			{self.name: settings}, self.streams, self.tables, {self.name: login.secrets},
			tuple(self.questions.values()), tuple(self.complaints),
		)  # fmt: skip
		return checked(found)

	def _ask(self, question: Question) -> None:
		self.questions.setdefault(question.name, question)

	def _chosen(self, wanted: Collection[str]) -> list[Operation]:
		every = list(self.lists.values())
		if not wanted:
			return every
		for one in wanted:
			if not any(operation.named(one) for operation in every):
				known = ", ".join(operation.title for operation in every)[:1000]
				raise ImportRefused(_("there is no GET operation {0!r}; there are {1}", one, known))
		return [operation for operation in every if any(operation.named(one) for one in wanted)]

	def _stream(self, operation: Operation, is_wanted: bool) -> str:
		"""Make the stream of an operation; return its name, "" for one that answers no list."""
		if operation.path in self.by_path:
			return self.by_path[operation.path]
		found = list_of(self.document, operation)
		if found is None:
			if is_wanted:
				self.complaints.add(f"GET {operation.path}", _("no list of objects is in its answer"))
			return ""
		self.by_path[operation.path] = ""  # a list within itself
		row = self._row(operation, found)
		if row is None:
			return ""
		name = stream_name(self.name, operation.title, self.streams)
		row["target_doctype"] = table_name(self.name, name.removeprefix(f"{self.name}-"), self.tables)
		self.tables[row["target_doctype"]] = self._map(row, found)
		self.streams[name] = row
		self.by_path[operation.path] = name
		return name

	def _row(self, operation: Operation, found: Found) -> dict[str, Any] | None:
		id_path = id_of(found, operation.path)
		row = {
			"endpoint": escaped(operation.path),
			"mode": "Full",
			"records_path": found.records_path,
			"id_path": id_path or "@",
			**pagination(self.document, operation),
			**changes(found, operation),
		}
		if operation.parameter("path") and not self._within(operation, row):
			return None
		self._params(operation, row)
		return row

	def _within(self, operation: Operation, row: dict[str, Any]) -> bool:
		"""Say what stands for the variables of the path: the id of the list above, else what is asked for."""
		for number, variable in enumerate(_VARIABLE.findall(operation.path)):
			above = operation.path.partition(f"{{{variable}}}")[0].rstrip("/")
			parent = self._stream(self.lists[above], False) if number == 0 and above in self.lists else ""
			if parent and self.streams[parent]["id_path"] != "@":
				row["parent_stream"] = parent
				text = f"{{parent.{self.streams[parent]['id_path']}}}"
			else:
				text = self._asked(variable, operation, "path")
			row["endpoint"] = row["endpoint"].replace(escaped(f"{{{variable}}}"), text)
		return True

	def _asked(self, name: str, operation: Operation, place: str) -> str:
		one = next((one for one in operation.parameter(place) if one.get("name") == name), {})
		schema = one if self.document.is_v2 else self.document.schema(one.get("schema"))
		choices = tuple(schema["enum"]) if isinstance(schema.get("enum"), list) else ()
		about = str(one.get("description") or "")[:1000]
		default = schema.get("default", one.get("example"))
		self._ask(
			Question(name, label=name, description=about, required=True, choices=choices, default=default)
		)
		return escaped(str(self.answers.get(name, "" if default is None else default)))

	def _params(self, operation: Operation, row: dict[str, Any]) -> None:
		"""Write the parameters that the operation cannot do without, beside those of its pages."""
		said = {row.get(name) for name in ("page_param", "page_size_param", "changed_since_param")}
		needed = [
			one for one in operation.parameter("query") if one.get("required") and one.get("name") not in said
		]
		lines = [f"{one['name']}={self._asked(str(one['name']), operation, 'query')}" for one in needed]
		if lines:
			row["params"] = "\n".join(lines)

	def _map(self, row: dict[str, Any], found: Found) -> dict[str, str]:
		table: dict[str, str] = {}
		row["mapping"] = {}
		for name, schema in list(found.properties.items())[:_MOST_FIELDS]:
			field = field_name(str(name), table)
			table[field] = fieldtype(self.document.schema(schema))
			row["mapping"][field] = path_of([name])
		if not table:
			table["record"], row["mapping"]["record"] = "JSON", "@"
		return table
