"""Checks of the settings that prove who we are, when they are saved; and which secrets these settings send."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_headers import HEADER_NAME, is_credential
from integration_hub.connectors.credential_templates import NAMES, secrets_of
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.jwt_algorithms import ALGORITHMS, KEY_ENCODINGS
from integration_hub.connectors.pem import NotPEM, certificates
from integration_hub.connectors.placeholders import (
	Placeholder,
	Template,
	TemplateError,
	placeholders_in,
	read_tree,
	unknown_placeholder,
)
from integration_hub.connectors.token_answers import COOKIE, HEADER
from integration_hub.connectors.token_placement import PLACES
from integration_hub.connectors.token_requests import (
	CLIENT_AUTHENTICATIONS,
	LOGIN_FORMATS,
	LOGIN_METHODS,
	login_url,
)
from integration_hub.lazy_messages import _

Problem = tuple[str, str]  # field, sentence
Given = Mapping[str, str | None]

_CHOICES = {
	"client_authentication": CLIENT_AUTHENTICATIONS,
	"sent_in": PLACES,
	"login_method": LOGIN_METHODS,
	"login_body_format": LOGIN_FORMATS,
	"jwt_algorithm": ALGORITHMS,
	"jwt_key_encoding": KEY_ENCODINGS,
}
# Set by the client itself, or by fields of their own.
_KEPT_HEADERS = ("host", "content-length", "transfer-encoding", "connection", "proxy-authorization")


def credential_problems(config: IntegrationConfig, secrets: Given) -> list[Problem]:
	"""Return what is wrong with the credentials as (field, sentence), empty when they can work.

	`secrets` maps Password fields to their values, masks or references; only their presence is looked at.
	"""
	return [
		*_choice_problems(config),
		*_missing(config, secrets),
		*_line_problems(config),
		*_body_problems(config),
		*_json_problems(config),
		*_path_problems(config),
		*_format_problems(config),
		*_certificate_problems(config, secrets),
	]


def secrets_sent(config: IntegrationConfig) -> frozenset[str]:
	"""Return the Password fields that requests of these settings send or sign with."""
	named = secrets_of(place for _field, places in _templates(config) for place in places)
	used = {*_USED.get(config.auth_type, ("secret",)), *named}
	if _signs(config):
		used.add(_signing_field(config))
	if config.client_certificate:
		used |= {"client_key", "client_key_passphrase"}
	return frozenset(used)


_USED: Mapping[str, tuple[str, ...]] = {
	"None": (),
	"Connected App": (),
	"JWT": (),
	"Session Token": (),
	"OAuth2 Client Credentials": ("client_secret",),
	"OAuth2 Refresh Token": ("client_secret", "refresh_token"),
	"OAuth2 Password": ("client_secret", "secret"),
	"OAuth2 JWT Bearer": ("client_secret",),
}


def _signs(config: IntegrationConfig) -> bool:
	by_client = config.auth_type.startswith("OAuth2") and config.client_authentication == "Signed JWT"
	return config.auth_type in ("JWT", "OAuth2 JWT Bearer") or by_client


def _signing_field(config: IntegrationConfig) -> str:
	return "secret" if config.jwt_algorithm.startswith("HS") else "private_key"


def _choice_problems(config: IntegrationConfig) -> Iterator[Problem]:
	for field, known in _CHOICES.items():
		if (value := getattr(config, field)) not in known:
			yield field, _("{0!r} is not one of {1}", value, ", ".join(known))


def _missing(config: IntegrationConfig, secrets: Given) -> Iterator[Problem]:
	"""Say what the newer kinds of authentication lack; `integration_problems` says it of the others."""
	if config.auth_type == "Session Token":
		yield from _login_problems(config)
	if config.auth_type == "AWS Signature":
		yield from _service_problems(config)
	if _signs(config) and not secrets.get(field := _signing_field(config)):
		yield field, _("is needed for {0}", config.jwt_algorithm)
	# What is written with a placeholder fails each run as long as the field is empty.
	for field in sorted(secrets_of(place for _f, places in _templates(config) for place in places)):
		if not secrets.get(field):
			yield field, _("is empty, and a placeholder names it")


def _login_problems(config: IntegrationConfig) -> Iterator[Problem]:
	if not config.token_url:
		yield "token_url", _("is needed for {0}", config.auth_type)
		return
	try:
		login_url(config)
	except (ConfigurationError, ValueError):
		yield "token_url", _("is neither an address nor a path below the base URL")


def _service_problems(config: IntegrationConfig) -> Iterator[Problem]:
	for field in ("username", "aws_region", "aws_service"):
		if not getattr(config, field):
			yield field, _("is needed for {0}", config.auth_type)


# Texts with placeholders


def _templates(config: IntegrationConfig) -> Iterator[tuple[str, list[Placeholder]]]:
	"""Return the placeholders of each text that is in use, by field; of one that cannot be read, none."""
	for field, read in _TEXTS.items():
		if _is_used(field, config):
			try:
				yield field, list(placeholders_in(read(config, getattr(config, field))))
			except (TemplateError, ValueError, RecursionError):
				yield field, []


def _is_used(field: str, config: IntegrationConfig) -> bool:
	if field.startswith("login_"):
		return config.auth_type == "Session Token"
	if field.startswith("jwt_"):
		return _signs(config)
	return config.auth_type.startswith("OAuth2") if field == "token_params" else True


def _whole(config: IntegrationConfig, text: str) -> Template:
	return Template.read(text)


def _tree(config: IntegrationConfig, text: str) -> object:
	return read_tree(json.loads(text)) if text.strip() else {}


def _body(config: IntegrationConfig, text: str) -> object:
	return _tree(config, text) if config.login_body_format == "JSON" else Template.read(text)


_TEXTS: Mapping[str, Callable[[IntegrationConfig, str], object]] = {
	"extra_headers": _whole,
	"extra_params": _whole,
	"token_params": _whole,
	"login_headers": _whole,
	"login_body": _body,
	"jwt_claims": _tree,
	"jwt_headers": _tree,
}


def _body_problems(config: IntegrationConfig) -> Iterator[Problem]:
	for field, read in _TEXTS.items():
		try:
			found = read(config, getattr(config, field)) if _is_used(field, config) else {}
		except TemplateError as error:
			yield field, str(error)
			continue
		except (ValueError, RecursionError) as error:
			yield field, _("is not JSON: {0}", str(error))
			continue
		if field.startswith("jwt_") and not isinstance(found, dict):
			yield field, _("is not a JSON object")
		if unknown := unknown_placeholder(placeholders_in(found), NAMES):
			yield field, unknown


def _line_problems(config: IntegrationConfig) -> Iterator[Problem]:
	for field in ("extra_headers", "login_headers"):
		for line in filter(str.strip, getattr(config, field).splitlines()):
			yield from ((field, problem) for problem in _header_problem(line))
	for field in ("extra_params", "token_params"):
		for line in filter(str.strip, getattr(config, field).splitlines()):
			yield from ((field, problem) for problem in _pair_problem(line))
	if config.login_body_format == "Form" and config.auth_type == "Session Token":
		for line in filter(str.strip, config.login_body.splitlines()):
			yield from (("login_body", problem) for problem in _pair_problem(line))


def _header_problem(line: str) -> Iterator[str]:
	name, colon, value = (part.strip() for part in line.partition(":"))
	if not colon or not HEADER_NAME.fullmatch(name.lower()):
		yield _("{0!r} is not Name: value", line.strip()[:80])
	elif name.lower() in _KEPT_HEADERS:
		yield _("{0} cannot be set here", name)
	elif _shows_a_secret(name, value):
		yield _is_shown(name)
	elif not all(" " <= character <= "~" for character in value):
		yield _("the value of {0} holds characters that no header may hold", name)


def _pair_problem(line: str) -> Iterator[str]:
	name, equals, value = (part.strip() for part in line.partition("="))
	if not equals or not name:
		yield _("{0!r} is not name=value", line.strip()[:80])
	elif _shows_a_secret(name, value):
		yield _is_shown(name)


# Named like a credential, and what is said about one: `requested_token_type`.
_ABOUT = re.compile(r"(?:type|format|lifetime|method|version|ttl|expiry|hint)$", re.IGNORECASE)


def _shows_a_secret(name: str, text: str) -> bool:
	"""Tell whether a value is a secret by its name, and stands there for all to read."""
	if not is_credential(name) or _ABOUT.search(name) or not text:
		return False
	try:
		return not secrets_of(Template.read(text).placeholders)
	except TemplateError:
		return False  # which is another problem


def _shown_in(tree: object, name: str = "") -> Iterator[str]:
	"""Return the keys of JSON whose values are secrets that all may read."""
	if isinstance(tree, dict):
		for key, value in tree.items():
			yield from _shown_in(value, key)
	elif isinstance(tree, list):
		for value in tree:
			yield from _shown_in(value, name)
	elif isinstance(tree, str | int) and _shows_a_secret(name, str(tree)):
		yield name


def _json_problems(config: IntegrationConfig) -> Iterator[Problem]:
	if config.auth_type != "Session Token" or config.login_body_format != "JSON":
		return
	with suppress(ValueError, RecursionError):  # which is another problem
		for name in _shown_in(json.loads(config.login_body)) if config.login_body.strip() else ():
			yield "login_body", _is_shown(name)


def _is_shown(name: str) -> str:
	return _(
		"{0} is a credential: enter it as Second Secret (secret_2), and write {1} here", name, "{secret_2}"
	)


# Paths, formats, certificates


def _path_problems(config: IntegrationConfig) -> Iterator[Problem]:
	for field in ("token_path", "expires_path"):
		path = getattr(config, field)
		if path and not path.startswith((HEADER, COOKIE)) and (problem := path_problem(path)):
			yield field, problem


def _format_problems(config: IntegrationConfig) -> Iterator[Problem]:
	if config.sent_in == "Cookie" and not config.token_name and _places(config):
		yield "token_name", _("is needed: it names the cookie")
	if config.sent_in == "Query" and not config.token_name and _places(config):
		yield "token_name", _("is needed: it names the query parameter")
	if not config.token_format:
		return
	try:
		places = Template.read(config.token_format).placeholders
	except TemplateError as error:
		yield "token_format", str(error)
		return
	if not places or any(place.name != "token" or place.format not in ("", "base64") for place in places):
		yield "token_format", _("must have {0} where the token stands, and no other placeholder", "{token}")


def _places(config: IntegrationConfig) -> bool:
	return config.fetches_tokens or config.auth_type == "JWT"


def _certificate_problems(config: IntegrationConfig, secrets: Given) -> Iterator[Problem]:
	for field in ("ca_bundle", "client_certificate"):
		try:
			certificates(text) if (text := getattr(config, field).strip()) else None
		except NotPEM as error:
			yield field, str(error)
		if "PRIVATE KEY" in getattr(config, field):
			yield (
				field,
				_("holds a private key: it belongs into Client Key (client_key), where nobody reads it"),
			)
	if config.client_certificate and not secrets.get("client_key"):
		yield "client_key", _("is needed for the client certificate")
	if config.ca_bundle and not config.verify_tls:
		yield "ca_bundle", _("does nothing while Verify TLS (verify_tls) is off")
