"""The components of a manifest: references followed, parameters inherited, types that are left out filled in.

Follows the CDK's `ManifestReferenceResolver` and `ManifestComponentTransformer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from integration_hub.importing.documents import ImportRefused
from integration_hub.importing.manifest.known_fields import unknown_fields
from integration_hub.importing.proposal import Complaints
from integration_hub.lazy_messages import _

_MOST_STEPS = 200_000  # references followed, in one manifest
_DEEPEST = 50

# The type of a component that names none: CDK, DEFAULT_MODEL_TYPES.
DEFAULT_TYPES = {
	"CompositeErrorHandler.error_handlers": "DefaultErrorHandler",
	"DatetimeBasedCursor.end_datetime": "MinMaxDatetime",
	"DatetimeBasedCursor.end_time_option": "RequestOption",
	"DatetimeBasedCursor.start_datetime": "MinMaxDatetime",
	"DatetimeBasedCursor.start_time_option": "RequestOption",
	"DeclarativeSource.check": "CheckStream",
	"DeclarativeSource.spec": "Spec",
	"DeclarativeSource.streams": "DeclarativeStream",
	"DeclarativeStream.retriever": "SimpleRetriever",
	"DeclarativeStream.schema_loader": "JsonFileSchemaLoader",
	"DefaultErrorHandler.response_filters": "HttpResponseFilter",
	"DefaultPaginator.page_size_option": "RequestOption",
	"DpathExtractor.record_expander": "RecordExpander",
	"HttpRequester.error_handler": "DefaultErrorHandler",
	"ListPartitionRouter.request_option": "RequestOption",
	"ParentStreamConfig.request_option": "RequestOption",
	"ParentStreamConfig.stream": "DeclarativeStream",
	"RecordSelector.extractor": "DpathExtractor",
	"RecordSelector.record_filter": "RecordFilter",
	"SimpleRetriever.paginator": "NoPagination",
	"SimpleRetriever.record_selector": "RecordSelector",
	"SimpleRetriever.requester": "HttpRequester",
	"SubstreamPartitionRouter.parent_stream_configs": "ParentStreamConfig",
	"AddFields.fields": "AddedFieldDefinition",
}
_CLASS_ONLY = "CustomComponent"


class Manifest:
	"""A manifest as it was read, and the complaints about it."""

	def __init__(self, document: Mapping[str, Any], complaints: Complaints) -> None:
		self.document, self.complaints = document, complaints
		self._steps = self._nested = 0

	def root(self) -> Component:
		"""Return the source itself."""
		return Component(self, {"type": "DeclarativeSource", **self.document}, {}, "")

	def resolved(self, value: Any) -> Any:
		"""Return a value with its reference followed, and what stands beside it. Raises ImportRefused."""
		for _step in range(_DEEPEST):
			reference = _reference(value)
			if not reference:
				return value
			target = self._target(reference)
			beside = {k: v for k, v in value.items() if k != "$ref"} if isinstance(value, dict) else {}
			if not isinstance(target, dict):
				return self.resolved(target) if _step < _DEEPEST - 1 and not beside else target
			value = {**target, **beside}
		raise ImportRefused(_("the reference {0} leads to itself", str(reference)[:100]))

	def deep(self, value: Any, depth: int = 0) -> Any:
		"""Return a value with all references within it followed. Raises ImportRefused."""
		if depth > _DEEPEST:
			raise ImportRefused(_("references are nested deeper than {0} levels", _DEEPEST))
		value = self.resolved(value)
		self._count()
		if isinstance(value, dict):
			return {key: self.deep(one, depth + 1) for key, one in value.items()}
		return [self.deep(one, depth + 1) for one in value] if isinstance(value, list) else value

	def _count(self) -> None:
		self._steps += 1
		if self._steps > _MOST_STEPS:
			raise ImportRefused(_("follows more than {0} references", _MOST_STEPS))

	def _target(self, reference: str) -> Any:
		self._count()
		self._nested += 1
		if self._nested > _DEEPEST:
			raise ImportRefused(_("the reference {0} leads to itself", reference[:100]))
		try:
			return self._found(reference)
		finally:
			self._nested -= 1

	def _found(self, reference: str) -> Any:
		found: Any = self.document
		rest = reference.removeprefix("#/")
		while rest:
			key, rest = _longest_key(found, rest)
			found = self.resolved(found[key])
		return found


def _reference(value: Any) -> str:
	"""Return the reference that a value is, "" if it is none."""
	if isinstance(value, dict):
		value = value.get("$ref", "")
	elif isinstance(value, str) and value.startswith("*ref(") and value.endswith(")"):
		return "#/" + value[5:-1].replace(".", "/")  # of the first versions
	return value if isinstance(value, str) and value.startswith("#/") else ""


def _longest_key(found: Any, rest: str) -> tuple[Any, str]:
	"""Return the key that a reference goes on with, and what follows it. Raises ImportRefused."""
	parts = rest.split("/")
	for count in range(1, len(parts) + 1):  # a key may have slashes of its own
		key: Any = "/".join(parts[:count])
		if isinstance(found, dict) and key in found:
			return key, "/".join(parts[count:])
		if isinstance(found, list) and key.isdigit() and int(key) < len(found):
			return int(key), "/".join(parts[count:])
	raise ImportRefused(_("the reference {0} leads nowhere", rest[:100]))


class Component:
	"""One component: its own fields, and the parameters it inherits.

	path: where it stands, for complaints.
	"""

	def __init__(
		self, manifest: Manifest, own: Mapping[str, Any], inherited: Mapping[str, Any], path: str
	) -> None:
		self.manifest, self.path = manifest, path
		parameters = own.get("$parameters", own.get("$options"))
		self.parameters = {**inherited, **(parameters if isinstance(parameters, dict) else {})}
		self.own = {key: value for key, value in own.items() if key not in ("$parameters", "$options")}

	@property
	def type(self) -> str:
		"""Return the component's type, as `HttpRequester`."""
		return str(self.own.get("type") or (_CLASS_ONLY if "class_name" in self.own else ""))

	def get(self, field: str, default: Any = None) -> Any:
		"""Return a field's value: the component's own, else the parameter of that name; references in it followed."""
		value = self.own.get(field)
		if not value and field != "type":
			value = self.parameters.get(field) or value
		return default if value is None else self.manifest.deep(value)

	def has(self, field: str) -> bool:
		"""Tell whether a field has a value that is not empty."""
		return bool(self.own.get(field) or self.parameters.get(field))

	def child(self, field: str) -> Component | None:
		"""Return the component of a field, None if there is none."""
		value = self.own.get(field) or self.parameters.get(field)
		value = self.manifest.resolved(value) if value else None
		return self._made(field, value, field) if isinstance(value, dict) else None

	def children(self, field: str) -> Iterator[Component]:
		"""Return the components of a field that is a list, or one of them."""
		values = self.manifest.resolved(self.own.get(field) or self.parameters.get(field) or [])
		for number, value in enumerate(values if isinstance(values, list) else [values]):
			if isinstance(value := self.manifest.resolved(value), dict):
				yield self._made(field, value, f"{field}[{number}]")

	def complain(self, reason: str, field: str = "") -> None:
		"""Note what could not be converted."""
		self.manifest.complaints.add(".".join(filter(None, (self.path, field))), reason)

	def complain_of(self, *fields: str) -> None:
		"""Note the fields of these that the component has, and that have no equal."""
		for field in fields:
			if self.own.get(field):
				self.complain(_("has no equal"), field)

	def _made(self, field: str, value: Mapping[str, Any], place: str) -> Component:
		if not value.get("type") and "class_name" not in value:
			value = {**value, "type": DEFAULT_TYPES.get(f"{self.type}.{field}", "")}
		inherited = {key: one for key, one in self.parameters.items() if key != field}
		made = Component(self.manifest, value, inherited, ".".join(filter(None, (self.path, place))))
		made.complain_of(*unknown_fields(made.type, made.own, made.parameters))
		return made
