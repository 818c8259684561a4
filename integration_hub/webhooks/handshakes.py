"""Handshakes as settings: a sender tries the URL before it sends events, and wants a value of its own back.

None of them stores an event. What is answered without proof is what the asker has sent, as text that no browser takes
for a page; a signature is made of nothing that could be an event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, path_problem, search
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.lazy_messages import _
from integration_hub.stores.runtime import Runtime
from integration_hub.webhooks.endpoint import Endpoint
from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.new_secrets import SECRET_HANDSHAKES, new_secret
from integration_hub.webhooks.schemes.base import BadSignature
from integration_hub.webhooks.schemes.challenges import require_signable
from integration_hub.webhooks.schemes.keys import DIGESTS, mac, shared_key
from integration_hub.webhooks.schemes.signed_content import json_of

HANDSHAKES = ("", "None", "Query", "Body", "Unsigned Body", "Header", *SECRET_HANDSHAKES)
_GREETED = ("Query", "Header")  # these may come by GET
_MAX_VALUE = 4000


def takes_get(config: IntegrationConfig) -> bool:
	"""Tell whether the settings have a handshake that may come by GET."""
	return config.handshake in _GREETED


def before_proof(runtime: Runtime, found: Endpoint, request: Request) -> Response | None:
	"""Answer a handshake that is not signed, None if a request is none; raises BadSignature."""
	config = found.config
	if config.handshake in SECRET_HANDSHAKES:
		value = _value(config, request, None)
		return new_secret(runtime, found, value) if value else None
	if config.handshake not in ("Query", "Header", "Unsigned Body") or not (
		value := _value(config, request, None)
	):
		return None
	if not found.secrets:
		raise BadSignature("no_secret_set")
	if _signs(config):
		require_signable(value if config.handshake == "Query" else "")
	return answer_to(found, value, found.secrets[0])


def after_proof(found: Endpoint, request: Request, payload: Any) -> Response | None:
	"""Answer a handshake in a body that is proven, None if it is an event."""
	if found.config.handshake != "Body" or not (value := _value(found.config, request, payload)):
		return None
	return answer_to(found, value, _proving(found, request))


def _value(config: IntegrationConfig, request: Request, payload: Any) -> str:
	"""Return the value that is to be returned, "" if there is none."""
	place = config.handshake_value
	if config.handshake == "Query":
		return request.query.get(place, "")
	if config.handshake in ("Header", "Secret Header"):
		return request.headers.get(place.lower(), "").strip()
	if payload is None:
		payload = _unproven(config, request)
	if config.handshake_condition and _at(config.handshake_condition, payload) is not True:
		return ""
	value = _at(place, payload)
	return value if isinstance(value, str) else ""


def _unproven(config: IntegrationConfig, request: Request) -> Any:
	"""Return what a small body says, None where it says nothing that can be read: then it is no handshake."""
	try:
		return (
			json_of(request, config) if request.method == "POST" and len(request.body) <= _MAX_VALUE else None
		)
	except BadSignature:
		return None


def _at(path: str, payload: Any) -> Any:
	try:
		return search(path, payload)
	except PathError:
		return None


def answer_to(found: Endpoint, value: str, secret: str) -> Response:
	"""Return the answer to a handshake; raises BadSignature for a value that is too long to be one."""
	if len(value) > _MAX_VALUE:
		raise BadSignature("challenge_malformed")
	template = found.config.handshake_answer or "{value}"
	meant = {"value": value}
	if _signs(found.config):
		meant["hmac"] = _hmac(found.config, value, secret)
	is_json = template.lstrip()[:1] in "{[" and not re.match(r"\s*\{(?:value|hmac)\}", template)
	text = re.sub(
		r"\{(value|hmac)\}", lambda m: json.dumps(meant[m[1]]) if is_json else meant[m[1]], template
	)
	return Response(200, "challenge", text, "application/json" if is_json else "text/plain")


def _signs(config: IntegrationConfig) -> bool:
	return "{hmac}" in config.handshake_answer


def _hmac(config: IntegrationConfig, value: str, secret: str) -> str:
	return mac(shared_key(secret, config), value.encode(), config.signature_algorithm).hex()


def _proving(found: Endpoint, request: Request) -> str:
	"""Return the secret that has proven a request: while one is rotated, the sender knows only one of both."""
	for secret in found.secrets[:-1]:
		try:
			found.scheme.verify(request, [secret])
		except BadSignature:
			continue
		return secret
	return found.secrets[-1]


def handshake_problems(config: IntegrationConfig) -> Iterator[tuple[str, str]]:
	"""Give what is wrong with the settings of handshakes, as (field, sentence)."""
	kind = config.handshake
	if kind not in HANDSHAKES:
		yield "handshake", _("{0!r} is not one of {1}", kind, ", ".join(filter(None, HANDSHAKES)))
	if kind not in ("", "None") and not config.handshake_value.strip():
		yield "handshake_value", _("is needed for {0}", kind)
	for field in ("handshake_value", "handshake_condition"):
		path = getattr(config, field)
		if "Body" in kind and path and (problem := path_problem(path)):
			yield field, problem
	if _signs(config):
		yield from _signing_problems(config)


def _signing_problems(config: IntegrationConfig) -> Iterator[tuple[str, str]]:
	"""Give what would let a stranger have an event signed, or cannot be signed."""
	if config.handshake not in ("Body", "Query"):
		yield "handshake_answer", _("{0} is possible for {1} only", "{hmac}", "Body, Query")
	if config.handshake == "Query" and "{body}" not in config.signed_content:
		yield "handshake_answer", _("{0} is possible only if {1} is signed", "{hmac}", "{body}")
	if config.signature_algorithm not in DIGESTS:
		yield "handshake_answer", _("{0} needs a signature by HMAC", "{hmac}")
