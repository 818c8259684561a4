"""The text that a sender signs, made of a request by a template: `{timestamp}.{body}`, `{method}{url}{body}`."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from integration_hub.connectors.bounded_jmespath import PathError, path_problem, search
from integration_hub.connectors.config import IntegrationConfig, header_names
from integration_hub.lazy_messages import _
from integration_hub.webhooks.bodies import (
	BodyTooLarge,
	MalformedEvent,
	Reading,
	UnsupportedMedia,
	read_body,
)
from integration_hub.webhooks.cloud_events import read_cloud_events
from integration_hub.webhooks.messages import DEFAULT_MB, MEGABYTE, Request
from integration_hub.webhooks.schemes.base import BadSignature, Everything

_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)(?:\.([^{}]+))?\}")
_NAMED = frozenset({"header", "body", "query"})  # these may have a name behind a dot
_OF_BODY = frozenset({"body", "form", "crc32"})
_MAX_FIELDS = 1000

Part = tuple[
	str, str
]  # a placeholder's name and what is behind its dot; ("", text) for what stands between them


@dataclass
class Signing:
	"""Values that the placeholders of a template have in one request. item: the event that is signed for itself, if any."""

	request: Request
	config: IntegrationConfig
	timestamp: str = ""
	secret: str = ""
	item: Any = None

	@cached_property
	def payload(self) -> Any:
		"""Return the payload of the body, or the event of it that is signed; raises BadSignature."""
		return json_of(self.request, self.config) if self.item is None else self.item

	@cached_property
	def url(self) -> str:
		"""Return the URL as the sender knows it: *Public URL* with the query that was sent, if that is set."""
		return public_url(self.request, self.config)


def json_of(request: Request, config: IntegrationConfig) -> Any:
	"""Return the payload of a body, as the event is read of it; raises BadSignature where it cannot be read."""
	read = read_cloud_events if config.event_format else read_body
	most = int((config.max_body_mb or DEFAULT_MB) * MEGABYTE)
	try:
		return read(request.body, request.headers, most, Reading.of(config))[1]
	except (MalformedEvent, UnsupportedMedia, BodyTooLarge):
		raise BadSignature("signature_malformed") from None


def public_url(request: Request, config: IntegrationConfig) -> str:
	"""Return the URL that was entered at the sender, with the query of this request."""
	if not config.webhook_url:
		return request.url
	return urlsplit(config.webhook_url)._replace(query=urlsplit(request.url).query).geturl()


@lru_cache(1000)
def parts_of(template: str) -> tuple[Part, ...]:
	"""Return the pieces of a template; raises ValueError for a placeholder that does not exist."""
	parts: list[Part] = []
	end = 0
	for found in _PLACEHOLDER.finditer(template):
		parts += [("", template[end : found.start()]), (found[1], found[2] or "")]
		end = found.end()
	parts.append(("", template[end:]))
	for name, inner in parts:
		if name and (
			name not in _MEANINGS or (inner and name not in _NAMED) or (name == "header" and not inner)
		):
			raise ValueError(_("{0} is no placeholder", "{" + name + (f".{inner}" if inner else "") + "}"))
		if name == "body" and inner and (problem := path_problem(inner)):
			raise ValueError(problem)
	return tuple((name, inner) for name, inner in parts if name or inner)


def template_problem(template: str) -> str:
	"""Return why a template cannot be what is signed, "" if it can: it has to cover something of the body."""
	try:
		names = {name for name, _inner in parts_of(template)}
	except ValueError as error:
		return error.args[0]
	return "" if names & _OF_BODY else _("{0!r} does not contain {1}", template, "{body}")


def headers_in(template: str) -> tuple[str, ...]:
	"""Return the headers that a template covers, in lower case."""
	return tuple(inner.lower() for name, inner in parts_of(template) if name == "header")


def signed_paths(config: IntegrationConfig) -> Container[str]:
	"""Return the paths of an event that are signed. A checksum covers none: another body may have the same.

	What is signed of a body is not said of the events of its lists, unless each of them is signed for itself.
	"""
	parts = parts_of(config.signed_content)
	if ("body", "") in parts or ("form", "") in parts:
		return Everything()
	if config.signature_in != "Body" and (config.events_path.strip() or config.event_format):
		return ()
	return frozenset(inner for name, inner in parts if name == "body")


def covers(paths: Container[str], path: str) -> bool:
	"""Tell whether signed paths hold a path, or all that a list of them selects."""
	parts = path.strip().strip("[]").split(",") if path.strip().startswith("[") else [path]
	return all(part.strip() in paths for part in parts)


def mentions(template: str, placeholder: str) -> bool:
	"""Tell whether a template has a placeholder of this name."""
	return any(name == placeholder for name, _inner in parts_of(template))


def render(template: str, signing: Signing) -> bytes:
	"""Return what was signed; raises BadSignature where a part of it is missing."""
	return b"".join(
		_MEANINGS[name](signing, inner) if name else inner.encode() for name, inner in parts_of(template)
	)


def _header(signing: Signing, name: str) -> bytes:
	value = signing.request.headers.get(name.lower())
	if not value:
		raise BadSignature("signed_header_missing")
	return value.encode("utf-8", "replace")


def _id(signing: Signing, _name: str) -> bytes:
	for name in header_names(signing.config.event_id_header):
		if name in signing.request.headers:
			return _header(signing, name)
	raise BadSignature("id_missing")


def _body(signing: Signing, path: str) -> bytes:
	return text_at(signing.payload, path).encode("utf-8", "replace") if path else signing.request.body


def text_at(payload: Any, path: str) -> str:
	"""Return the text or number at a path; raises BadSignature where there is neither, and no boolean as JSON writes it."""
	try:
		value = search(path, payload)
	except PathError:
		value = None
	if isinstance(value, bool):
		return "true" if value else "false"
	if not isinstance(value, str | int | float):
		raise BadSignature("signature_missing")
	return str(value)


def form_fields(body: bytes) -> list[tuple[str, str]]:
	"""Return the fields of a form in their order; raises BadSignature."""
	try:
		return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
	except ValueError:
		raise BadSignature("signature_malformed") from None


def _form(signing: Signing, _name: str) -> bytes:
	"""Return names and values of a form, sorted, each pair once, without anything between them."""
	return "".join(name + value for name, value in sorted(set(form_fields(signing.request.body)))).encode()


def _query(signing: Signing, name: str) -> bytes:
	if not name:
		return urlsplit(signing.url).query.encode()
	if name not in signing.request.query:
		raise BadSignature("signature_missing")
	return signing.request.query[name].encode("utf-8", "replace")


_MEANINGS: Mapping[str, Callable[[Signing, str], bytes]] = {
	"body": _body,
	"crc32": lambda signing, _name: str(zlib.crc32(signing.request.body)).encode(),
	"form": _form,
	"header": _header,
	"id": _id,
	"method": lambda signing, _name: signing.request.method.encode(),
	"path": lambda signing, _name: urlsplit(signing.url).path.encode(),
	"query": _query,
	"secret": lambda signing, _name: signing.secret.encode(),
	"timestamp": lambda signing, _name: signing.timestamp.encode(),
	"url": lambda signing, _name: signing.url.encode("utf-8", "replace"),
}
