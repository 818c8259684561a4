"""Reading a signature, a token and a signed time from where the settings say that they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.schemes.base import BadSignature, sent
from integration_hub.webhooks.schemes.signed_content import Signing, mentions, render, text_at

SEPARATORS = {"": "", "Comma": ",", "Semicolon": ";", "Space": " "}
PLACES = ("Header", "Query", "URL Path", "Body")
_MAX_SIGNATURES = 16
_MAX_LIST = 4096  # characters of a header that holds several


def signature_headers(config: IntegrationConfig) -> list[str]:
	"""Return the names that settings give for a signature's header, in lower case; "*" at the end is any ending."""
	return [name.strip().lower() for name in config.signature_header.split(",") if name.strip()]


def signatures(config: IntegrationConfig, request: Request, payload: Any = None) -> list[str]:
	"""Return the signatures or tokens of a request, without their prefix; raises BadSignature if there is none.

	payload: the event that is proven, where it holds its signature itself.
	"""
	found = [part for value in _values(config, request, payload) for part in _parts(config, value)]
	return found[:_MAX_SIGNATURES]


def _values(config: IntegrationConfig, request: Request, payload: Any) -> list[str]:
	if config.signature_in == "Body":
		return [text_at(payload, config.signature_header)]
	if config.signature_in == "URL Path":
		return [_present(request.token)]
	if config.signature_in == "Query":
		return [_present(request.query.get(config.signature_header, ""))]
	return [_header_value(config, request, name) for name in _present_headers(config, request)]


def _present(value: str) -> str:
	if not value:
		raise BadSignature("signature_missing")
	if len(value) > _MAX_LIST:
		raise BadSignature("signature_malformed")
	return value


def _header_value(config: IntegrationConfig, request: Request, name: str) -> str:
	return (
		_present(request.headers.get(name, "").strip()) if config.signature_separator else sent(request, name)
	)


def _present_headers(config: IntegrationConfig, request: Request) -> list[str]:
	"""Return the headers with signatures that a request has; of those that it lacks, the first one, to say so."""
	named = signature_headers(config)
	found = [header for name in named for header in _matching(name, request)]
	return found[:_MAX_SIGNATURES] or [named[0].rstrip("*") if named else ""]


def _matching(name: str, request: Request) -> Iterable[str]:
	if not name.endswith("*"):
		return [name] if request.headers.get(name) else []
	return sorted(header for header in request.headers if header.startswith(name[:-1]))


def _parts(config: IntegrationConfig, value: str) -> Iterator[str]:
	"""Give what stands behind the prefix, in each part of a list; raises BadSignature if it is none and has no prefix."""
	prefix, separator = config.signature_prefix, SEPARATORS.get(config.signature_separator, "")
	if not separator:
		if not value.startswith(prefix):
			raise BadSignature("signature_malformed")
		yield value[len(prefix) :]
		return
	for part in value.split(separator):
		if (bare := part.strip()).startswith(prefix):
			yield bare[len(prefix) :]


def tokens_in(config: IntegrationConfig, value: str) -> list[str]:
	"""Return what a text holds where the settings would have it read as tokens, nothing where it cannot be."""
	try:
		return list(_parts(config, value))
	except BadSignature:
		return []


def timestamp_of(config: IntegrationConfig, request: Request, payload: Any = None) -> str:
	"""Return the signed time as it was sent, "" if none is sent where the settings say."""
	place = config.timestamp_header
	if "{" in place:
		signing = Signing(request, replace(config, event_id_header=""), item=payload)
		return render(place, signing).decode("utf-8", "replace")
	value = request.headers.get((place or (signature_headers(config) or [""])[0]).lower(), "").strip()
	if not config.timestamp_prefix:
		return value
	parts = (part.strip() for part in value.split(SEPARATORS.get(config.signature_separator, "") or ","))
	prefix = config.timestamp_prefix
	return next((part[len(prefix) :] for part in parts if part.startswith(prefix)), "")


def has_timestamp(config: IntegrationConfig) -> bool:
	"""Tell whether the settings sign a time."""
	return mentions(config.signed_content, "timestamp")
