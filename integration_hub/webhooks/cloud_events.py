"""CloudEvents over HTTP: structured, binary and batch become the same object, or a list of them.

https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from integration_hub.connectors.credential_headers import is_credential
from integration_hub.webhooks.bodies import (
	MalformedEvent,
	Reading,
	UnsupportedMedia,
	is_json,
	is_xml,
	json_text,
	media_type,
	parse_body,
	read_body,
)
from integration_hub.webhooks.encodings import BadEncoding, charset_of, decoded, unpacked

FORMAT = "CloudEvents"
_PREFIX = "ce-"
_REQUIRED = ("id", "source", "type")
_STRUCTURED = re.compile(r"application/cloudevents(-batch)?(\+json)?")
_NOT_READ = re.compile(r"protobuf|avro")


def is_binary(headers: Mapping[str, str]) -> bool:
	"""Tell whether a request is an event in binary mode: its attributes are headers, its body is the payload."""
	return "ce-specversion" in headers and not _STRUCTURED.fullmatch(media_type(headers))


def read_cloud_events(body: bytes, headers: Mapping[str, str], most: int, how: Reading) -> tuple[bytes, Any]:
	"""Return a body and what it stands for: an event, or a list of events. Raises what `read_body` does.

	Of one in binary mode, the body is returned as it would be in structured mode.
	"""
	if _NOT_READ.search(media_type(headers)):
		raise UnsupportedMedia("media_type_not_supported")
	if is_binary(headers):
		event = {**_attributes(headers), **_data(body, headers, most, how)}
		_check(event)
		return json_text(event).encode(), event
	body, payload = read_body(body, headers, most, how)
	if isinstance(payload, dict):
		_check(payload)
	return body, payload


def _check(event: Mapping[str, Any]) -> None:
	if not all(isinstance(event.get(name), str) and event[name] for name in _REQUIRED):
		raise MalformedEvent("not_a_cloud_event")


def _attributes(headers: Mapping[str, str]) -> dict[str, str]:
	"""Return the attributes in headers, in order; what is named like a credential is none."""
	named = sorted(name for name in headers if name.startswith(_PREFIX) and not is_credential(name))
	found = {name.removeprefix(_PREFIX): unquote(headers[name].strip('"')) for name in named}
	kind = headers.get("content-type", "")
	return {**found, "datacontenttype": kind} if kind else found


def _data(body: bytes, headers: Mapping[str, str], most: int, how: Reading) -> dict[str, Any]:
	kind = media_type(headers)
	try:
		plain = unpacked(body, headers.get("content-encoding", ""), most)
		if not plain:
			return {}
		if is_json(kind) or not kind:
			return {"data": _json_data(decoded(plain, charset_of(headers)), how)}
		if kind.startswith("text/") or is_xml(kind):
			return {"data": decoded(plain, charset_of(headers))}
	except BadEncoding as error:
		raise MalformedEvent(str(error)) from None
	return {"data_base64": b64encode(plain).decode()}


def _json_data(text: str, how: Reading) -> Any:
	"""Return what JSON stands for: here it may be text, a number, or null."""
	found = parse_body(f"[{text}]".encode(), "application/json", how)
	if len(found) != 1:
		raise MalformedEvent("body_not_json")
	return found[0]
