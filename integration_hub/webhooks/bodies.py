"""Bodies: raw bytes are read as a payload, JSON or a form as some senders post them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.json_text import exact_float, shallow, write_json
from integration_hub.webhooks.encodings import (
	BadEncoding,
	BodyTooLarge,
	UnsupportedMedia,
	charset_of,
	decoded,
	unpacked,
)
from integration_hub.webhooks.messages import MAX_BODY
from integration_hub.webhooks.multipart import MULTIPART, BadMultipart, read_multipart
from integration_hub.webhooks.xml_bodies import BadXML, declared_charset, read_xml

__all__ = [
	"FORM",
	"BodyTooLarge",
	"MalformedEvent",
	"Reading",
	"UnsupportedMedia",
	"json_text",
	"media_type",
	"parse_body",
	"read_body",
]

FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 1000


class MalformedEvent(ValueError):
	"""The body is no event we can read. The text is a reason word."""


@dataclass(frozen=True)
class Reading:
	"""The settings of how bodies are read.

	forms: is a form a body like JSON? json_fields: fields of a form whose text is JSON. keep_files: is the content of
	files kept? exact: does each number keep its digits, because the payload is written out again?
	"""

	forms: bool = True
	json_fields: frozenset[str] = frozenset()
	keep_files: bool = False
	exact: bool = False

	@classmethod
	def of(cls, config: IntegrationConfig, forms: bool = True) -> Reading:
		"""Return how an integration's bodies are read."""
		fields = frozenset(name.strip() for name in config.json_fields.split(",") if name.strip())
		exact = bool(config.events_path.strip() or config.event_format)
		return cls(forms, fields, config.keep_files, exact)


PLAIN = Reading()


def media_type(headers: Mapping[str, str]) -> str:
	"""Return the Content-Type without its parameters, "" if there is none."""
	return headers.get("content-type", "").partition(";")[0].strip().lower()


def read_body(
	body: bytes, headers: Mapping[str, str], most: int = MAX_BODY, how: Reading | None = None
) -> tuple[bytes, Any]:
	"""Return a body unpacked and in UTF-8, and the object or list it stands for.

	A form with parts is returned as JSON: its boundary is another one each time.
	Raises MalformedEvent, UnsupportedMedia, BodyTooLarge. most: bytes it may have when it is unpacked.
	"""
	kind, how = media_type(headers), how or PLAIN
	_check_kind(kind, how)
	try:
		charset = charset_of(headers)
		plain = unpacked(body, headers.get("content-encoding", ""), most)
		if is_xml(kind) and "charset" not in headers.get("content-type", "").lower():
			charset = declared_charset(plain)
		if kind == MULTIPART:
			payload = _fields(read_multipart(plain, headers, how.keep_files), how)
			return json_text(payload).encode(), payload
		text = decoded(plain, charset)
		return text.encode(), _parsed(text, kind, charset, how)
	except (BadEncoding, BadMultipart, BadXML) as error:
		raise MalformedEvent(str(error)) from None


def parse_body(body: bytes, kind: str = "", how: Reading | None = None) -> Any:
	"""Return the object or list that a body in UTF-8 stands for; see read_body. kind: the media type."""
	return read_body(body, {"content-type": kind.partition(";")[0]}, len(body), how)[1]


def json_text(value: Any) -> str:
	"""Return JSON with its characters unescaped, but for what is not Unicode, and each number with its digits."""
	try:
		text = write_json(value, allow_nan=True)
	except RecursionError:  # as deep as what is read may be; Python's own writer goes there
		text = json.dumps(value, ensure_ascii=False)
	return text if _encodes(text) else json.dumps(value)


def plain_json(value: Any) -> str:
	"""Return JSON with its characters unescaped, but for what is not Unicode."""
	text = _encoder.encode(value)
	return text if _encodes(text) else json.dumps(value)


def _encodes(text: str) -> bool:
	"""Tell whether text is Unicode: JSON may escape half of a surrogate pair."""
	try:
		text.encode()
	except UnicodeEncodeError:
		return False
	return True


def is_xml(kind: str) -> bool:
	"""Tell whether a media type is XML (RFC 7303)."""
	return kind in ("application/xml", "text/xml") or kind.endswith("+xml")


def is_json(kind: str) -> bool:
	"""Tell whether a media type is JSON, as RFC 8259 or `+json` of RFC 6839 says."""
	return kind == "application/json" or kind.endswith("+json")


def _check_kind(kind: str, how: Reading) -> None:
	"""Raise UnsupportedMedia unless it is JSON, XML, a form, text, or nothing."""
	if kind == "" or is_json(kind) or kind.startswith("text/") or is_xml(kind):
		return
	if kind == FORM or (kind == MULTIPART and how.forms):
		return
	raise UnsupportedMedia("media_type_not_supported")


def _parsed(text: str, kind: str, charset: str, how: Reading) -> Any:
	"""Return what a text stands for. A form becomes a dict, its repeated fields lists; XML a tree; all else is JSON."""
	# No form begins with a bracket: its serializer encodes them (WHATWG URL, 5.2). Some clients call JSON so.
	begins = text.lstrip()[:1]
	if kind == FORM and begins not in ("{", "["):
		if not how.forms:
			raise UnsupportedMedia("media_type_not_supported")
		return _form(text, charset, how)
	return read_xml(text) if is_xml(kind) and begins not in ("{", "[") else _json(text, how.exact)


def _json(text: str, exact: bool = False) -> Any:
	try:
		if "\x00" in text:  # Postgres stores no NUL
			raise MalformedEvent("body_has_nul")
		payload = shallow((_exact_decoder if exact else _decoder).decode(text))
	except RecursionError:
		raise MalformedEvent("body_too_deep") from None
	except ValueError as error:
		raise error if isinstance(error, MalformedEvent) else MalformedEvent("body_not_json") from None
	if not isinstance(payload, dict | list):
		raise MalformedEvent("body_not_an_object")
	return payload


def _form(text: str, charset: str, how: Reading) -> Any:
	options = {"keep_blank_values": True, "errors": "strict", "max_num_fields": _MAX_FIELDS}
	try:
		pairs = parse_qsl(text, encoding=charset, **options)
	except UnicodeError:
		raise MalformedEvent("body_not_utf8") from None
	except ValueError:
		raise MalformedEvent("body_not_a_form") from None
	# Slack's interactions and GitHub's forms are JSON within a field of this name, and nothing else.
	if len(pairs) == 1 and pairs[0][0] == "payload":
		return _json(pairs[0][1], how.exact)
	if not pairs:
		raise MalformedEvent("body_not_a_form")
	return _fields(pairs, how)


def _fields(pairs: Iterable[tuple[str, Any]], how: Reading) -> dict[str, Any]:
	fields: dict[str, list[Any]] = {}
	for name, value in pairs:
		read = _json_field(value, how.exact) if name in how.json_fields else value
		fields.setdefault(name, []).append(read)
	return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def _json_field(value: Any, exact: bool) -> Any:
	"""Return the object or list that a field's text stands for; text that is none stays: nothing gets lost."""
	try:
		return _json(value, exact) if isinstance(value, str) else value
	except MalformedEvent:
		return value


def _refuse_constant(name: str) -> None:
	raise MalformedEvent("body_not_json")


_encoder = json.JSONEncoder(ensure_ascii=False)
_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_exact_decoder = json.JSONDecoder(parse_float=exact_float, parse_constant=_refuse_constant)
