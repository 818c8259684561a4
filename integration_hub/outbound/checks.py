"""Checks of an outbound stream's settings, made before it sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.config import has_credentials, typed_values
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.placeholders import placeholders_in, unknown_placeholder
from integration_hub.connectors.request_template import template_problems
from integration_hub.connectors.setting_ranges import range_problems
from integration_hub.lazy_messages import _
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.rendering import STANDARD, mapping_problems
from integration_hub.outbound.steps import PLACEHOLDERS, Requests
from integration_hub.stores.fields import Fields
from integration_hub.sync.config import StreamConfig

Problem = tuple[str, str]  # field, sentence
_CHOICES = {
	"send_as": ("Record", "Event"),
	"send_to": ("HTTP", "Redis Stream", "Redis List"),
	"signature": ("", "Standard Webhooks", "HMAC", "Frappe"),
	"upsert_policy": ("Upsert", "Update Only", "Create Only"),
	"create_method": ("POST", "PUT", "PATCH"),
	"update_method": ("PUT", "PATCH", "POST"),
	"delete_method": ("DELETE", "POST", "PUT", "PATCH"),
	"precondition": ("", "If-Match"),
	"out_deletion": ("Keep", "Disable", "Delete"),
}
_PATHS = (
	"out_condition",
	"id_path",
	"record_answer_path",
	"version_path",
	"lookup_records_path",
	"lookup_match",
)
_TEMPLATES = ("create_path", "update_path", "delete_path", "lookup_path")


@dataclass(frozen=True)
class CheckContext:
	"""The names that a stream may use. functions: the registered ones, name → dotted path. known: is there such a stream?"""

	functions: Mapping[str, str]
	known: Callable[[str], bool]
	zone: str = "UTC"

	def transforms(self) -> Mapping[str, str]:
		"""Return the registered functions of the conversion Python."""
		return self.functions


def number_problems(row: Mapping[str, Any]) -> Iterator[Problem]:
	"""Return the numbers that are out of range in a stream's row, of both directions: a direction is soon changed."""
	plain = {name: value for name, value in row.items() if name != "mapping"}
	for kind in (StreamConfig, OutboundStream):
		yield from range_problems(kind(**typed_values(kind, plain)))


def outbound_problems(stream: OutboundStream, fields: Fields, context: CheckContext) -> list[Problem]:
	"""Return what is wrong as (field, sentence), empty when the stream can send.

	fields: those of the DocType that is sent; empty if it does not exist.
	"""
	if not fields:
		return [("target_doctype", _("DocType {0} does not exist", stream.target_doctype or "(empty)"))]
	return [
		*_choices(stream),
		*_addresses(stream),
		*_templates(stream),
		*_paths(stream),
		*_needs(stream, fields),
		*mapping_problems(context, stream, fields, context.known),
	]


def _choices(stream: OutboundStream) -> Iterator[Problem]:
	for field, known in _CHOICES.items():
		if (value := getattr(stream, field)) not in known:
			yield field, _("{0!r} is not one of {1}", value, ", ".join(filter(None, known)))


def _addresses(stream: OutboundStream) -> Iterator[Problem]:
	for field in ("endpoint", *_TEMPLATES):
		if has_credentials(getattr(stream, field)):
			said = _(
				"must not contain a user and password: use the fields under the integration's Authentication"
			)
			yield field, said
	if stream.send_to != "HTTP":
		if not stream.redis_key.strip():
			yield "redis_key", _("is empty")
	elif not (stream.endpoint or stream.create_path):
		yield "endpoint", _("is empty")
	if stream.send_to == "HTTP" and not stream.is_event and "{id" not in stream.paths["update"]:
		yield "update_path", _("does not contain {0}, which stands for the record's id", "{id}")


def _templates(stream: OutboundStream) -> Iterator[Problem]:
	# The headers of a list obey the same rules.
	yield from (
		problem
		for problem in template_problems(ListRequest(endpoint="x", headers=_without_places(stream.headers)))
		if problem[0] == "headers"
	)
	try:
		requests = Requests(stream)
	except ConfigurationError as error:
		yield error.field, str(error.detail)
		return
	for place, template in (*requests.paths.items(), ("send_body", requests.body)):
		places = placeholders_in(template) if template is not None else ()
		if unknown := unknown_placeholder(list(places), PLACEHOLDERS):
			yield _PLACES.get(place, place), unknown


_PLACES = {
	"create": "create_path",
	"update": "update_path",
	"delete": "delete_path",
	"read": "record_endpoint",
	"look up": "lookup_path",
}


def _without_places(headers: str) -> str:
	"""Return headers without placeholders, whose names are others than a list's."""
	return "".join(part for part in headers if part not in "{}")


def _paths(stream: OutboundStream) -> Iterator[Problem]:
	for field in _PATHS:
		if (path := getattr(stream, field)) and (problem := path_problem(path)):
			yield field, problem


def _needs(stream: OutboundStream, fields: Fields) -> Iterator[Problem]:
	if not stream.is_event and not stream.mapping:
		yield "mapping", _("is empty")
	if stream.lookup_path and not stream.lookup_match:
		yield "lookup_match", _("is empty")
	if stream.out_deletion == "Disable" and not stream.out_disable_path:
		yield "out_disable_path", _("is empty")
	for field, path in stream.written_back.items():
		if field in STANDARD or field not in fields:
			yield "write_back", _("{0} has no field {1!r}", stream.target_doctype, field)
		elif not path or (problem := path_problem(path)):
			yield "write_back", problem if path else _("is empty")
	if not any(vars(stream)[name] for name in _OPERATIONS):
		yield "send_update", _("no operation is chosen: nothing would be sent")


_OPERATIONS: tuple[Any, ...] = (
	"send_create",
	"send_update",
	"send_submit",
	"send_update_after_submit",
	"send_cancel",
)
