"""Bodies: raw bytes are read as a payload, JSON or a form as some senders post them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from integration_hub.connectors.json_text import shallow
from integration_hub.webhooks.encodings import (
	BadEncoding,
	BodyTooLarge,
	UnsupportedMedia,
	charset_of,
	decoded,
	unpacked,
)
from integration_hub.webhooks.messages import MAX_BODY

__all__ = [
	"FORM",
	"BodyTooLarge",
	"MalformedEvent",
	"UnsupportedMedia",
	"media_type",
	"parse_body",
	"read_body",
]

FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 1000


class MalformedEvent(ValueError):
	"""The body is no event we can read. The text is a reason word."""


def media_type(headers: Mapping[str, str]) -> str:
	"""Return the Content-Type without its parameters, "" if there is none."""
	return headers.get("content-type", "").partition(";")[0].strip().lower()


def read_body(
	body: bytes, headers: Mapping[str, str], most: int = MAX_BODY, *, forms: bool = True
) -> tuple[bytes, Any]:
	"""Return a body unpacked and in UTF-8, and the object or list it stands for.

	Raises MalformedEvent, UnsupportedMedia, BodyTooLarge. most: bytes it may have when it is unpacked.
	"""
	kind, charset = media_type(headers), charset_of(headers)
	_check_kind(kind)
	try:
		text = decoded(unpacked(body, headers.get("content-encoding", ""), most), charset)
	except BadEncoding as error:
		raise MalformedEvent(str(error)) from None
	return text.encode(), _parsed(text, kind, charset, forms)


def parse_body(body: bytes, kind: str = "", *, forms: bool = True) -> Any:
	"""Return the object or list that a body in UTF-8 stands for; see read_body. kind: the media type."""
	return read_body(body, {"content-type": kind.partition(";")[0]}, len(body), forms=forms)[1]


def _check_kind(kind: str) -> None:
	"""Raise UnsupportedMedia unless it is JSON, as RFC 8259 or `+json` of RFC 6839 says, a form, text, or nothing."""
	if kind in ("", FORM, "application/json") or kind.endswith("+json") or kind.startswith("text/"):
		return
	raise UnsupportedMedia("media_type_not_supported")


def _parsed(text: str, kind: str, charset: str, forms: bool) -> Any:
	"""Return what a text stands for. A form becomes a dict, its repeated fields lists; all else is JSON."""
	# No form begins with a bracket: its serializer encodes them (WHATWG URL, 5.2). Some clients call JSON so.
	if kind == FORM and text.lstrip()[:1] not in ("{", "["):
		if not forms:
			raise UnsupportedMedia("media_type_not_supported")
		return _form(text, charset)
	return _json(text)


def _json(text: str) -> Any:
	try:
		if "\x00" in text:  # Postgres stores no NUL
			raise MalformedEvent("body_has_nul")
		payload = shallow(_decoder.decode(text))
	except RecursionError:
		raise MalformedEvent("body_too_deep") from None
	except ValueError as error:
		raise error if isinstance(error, MalformedEvent) else MalformedEvent("body_not_json") from None
	if not isinstance(payload, dict | list):
		raise MalformedEvent("body_not_an_object")
	return payload


def _form(text: str, charset: str) -> Any:
	options = {"keep_blank_values": True, "errors": "strict", "max_num_fields": _MAX_FIELDS}
	try:
		pairs = parse_qsl(text, encoding=charset, **options)
	except UnicodeError:
		raise MalformedEvent("body_not_utf8") from None
	except ValueError:
		raise MalformedEvent("body_not_a_form") from None
	# Slack's interactions and GitHub's forms are JSON within a field of this name, and nothing else.
	if len(pairs) == 1 and pairs[0][0] == "payload":
		return _json(pairs[0][1])
	if not pairs:
		raise MalformedEvent("body_not_a_form")
	fields: dict[str, Any] = {}
	for name, value in pairs:
		if name not in fields:
			fields[name] = value
		elif isinstance(fields[name], list):
			fields[name].append(value)
		else:
			fields[name] = [fields[name], value]
	return fields


def _refuse_constant(name: str) -> None:
	raise MalformedEvent("body_not_json")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
