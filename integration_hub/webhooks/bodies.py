"""From raw bytes to a payload: JSON, and forms as some senders post them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 1000


class MalformedEvent(ValueError):
	"""The body is no event we can read. The text is a reason word."""


class UnsupportedMedia(ValueError):
	"""The body says it is neither JSON nor a form. The text is a reason word."""


def media_type(headers: Mapping[str, str]) -> str:
	"""Return the Content-Type without its parameters, "" if there is none."""
	return headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_body(body: bytes, kind: str = "", *, forms: bool = True) -> Any:
	"""Return the object or list a body stands for; raises MalformedEvent, UnsupportedMedia.

	kind: the media type. JSON is what says so (RFC 8259, `+json` of RFC 6839), what says text or nothing: some
	senders do. A form becomes a dict, its repeated fields lists.
	"""
	# No form begins with a bracket: its serializer encodes them (WHATWG URL, 5.2). Some clients call JSON so.
	if kind == FORM and body.lstrip()[:1] not in (b"{", b"["):
		if not forms:
			raise UnsupportedMedia("media_type_not_supported")
		return _form(body)
	if kind in ("", FORM, "application/json") or kind.endswith("+json") or kind.startswith("text/"):
		return _json(body)
	raise UnsupportedMedia("media_type_not_supported")


def _json(body: bytes) -> Any:
	try:
		text = body.decode("utf-8")
		if "\x00" in text:  # Postgres stores no NUL
			raise MalformedEvent("body_has_nul")
		payload = _decoder.decode(text)
	except UnicodeError:
		raise MalformedEvent("body_not_utf8") from None
	except RecursionError:
		raise MalformedEvent("body_too_deep") from None
	except ValueError as error:
		raise error if isinstance(error, MalformedEvent) else MalformedEvent("body_not_json") from None
	if not isinstance(payload, dict | list):
		raise MalformedEvent("body_not_an_object")
	return payload


def _form(body: bytes) -> Any:
	try:
		pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
	except UnicodeError:
		raise MalformedEvent("body_not_utf8") from None
	except ValueError:
		raise MalformedEvent("body_not_a_form") from None
	# Slack's interactions and GitHub's forms are JSON within a field of this name, and nothing else.
	if len(pairs) == 1 and pairs[0][0] == "payload":
		return _json(pairs[0][1].encode())
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
