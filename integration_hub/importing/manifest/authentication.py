"""Authenticators, as the credentials of an integration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.constant_functions import duration_seconds
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.expressions import literal, text_of
from integration_hub.importing.manifest.jmespath_text import path_of
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.lazy_messages import _

_FURTHER = ("secret", "secret_2", "secret_3")


@dataclass
class Credentials:
	"""The settings that log in, and the texts of its Password fields, in which marks stand for answers."""

	settings: dict[str, Any] = field(default_factory=dict)
	secrets: dict[str, str] = field(default_factory=dict)

	def slot(self, text: str) -> str | None:
		"""Return the placeholder of a secret, put into the next Password field that is free; None if none is."""
		for name in _FURTHER:
			if self.secrets.setdefault(name, text) == text:
				return f"{{{name}}}"
		return None

	def add_line(self, setting: str, line: str) -> None:
		"""Add a line to a setting of lines, once."""
		lines = self.settings.get(setting, "").splitlines()
		self.settings[setting] = "\n".join(dict.fromkeys((*lines, line)))

	def template(self, text: str) -> str | None:
		"""Return a text whose secrets are placeholders; None where no Password field is left for one."""
		if not secret_names(text):
			return text
		return self.slot(text)

	@property
	def key(self) -> str:
		"""Return what is the same for the same credentials."""
		return json.dumps([self.settings, self.secrets], sort_keys=True)


def credentials_of(conversion: Conversion, requester: Component) -> Credentials:
	"""Return the credentials of a requester; complaints for what has no equal."""
	found = Credentials()
	if authenticator := requester.child("authenticator"):
		_authenticate(conversion, authenticator, found, requester)
	return found


def _authenticate(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	handler = _HANDLERS.get(one.type)
	if handler is None:
		one.complain(
			_("carries code of its own ({0})", str(one.own["class_name"])[:80])
			if "class_name" in one.own
			else _("{0} has no equal", one.type or "?")
		)
		return
	handler(conversion, one, found, requester)


def _none(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	found.settings["auth_type"] = "None"


def _api_key(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	option = one.child("inject_into")
	place = text_of(option.get("inject_into")) if option else "header"
	name = conversion.text(option, "field_name") if option else conversion.text(one, "header")
	kinds = {"header": "API Key Header", "request_parameter": "API Key Query"}
	if place not in kinds or not name:
		one.complain(_("a key in {0} has no equal", place), "inject_into")
		return
	secret = conversion.secret_text(one, "api_token")
	if name.lower() == "authorization" and secret.startswith("Bearer ") and place == "header":
		found.settings["auth_type"], secret = "Bearer", secret.removeprefix("Bearer ")
	else:
		found.settings |= {"auth_type": kinds[place], "api_key_name": name}
	found.secrets["secret"] = secret


def _bearer(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	found.settings["auth_type"] = "Bearer"
	found.secrets["secret"] = conversion.secret_text(one, "api_token")


def _basic(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	found.settings["auth_type"] = "Basic"
	found.secrets["secret"] = conversion.secret_text(one, "password") if one.has("password") else ""
	user = text_of(conversion.constant(one, "username", ""))
	if secret_names(user):
		found.secrets["secret_2"], user = user, "{secret_2}"
	found.settings["username"] = user


def _oauth(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	grant = conversion.text(one, "grant_type", "refresh_token")
	kinds = {
		"refresh_token": "OAuth2 Refresh Token",
		"client_credentials": "OAuth2 Client Credentials",
		"password": "OAuth2 Password",
	}
	if grant == "refresh_token" and not one.has("refresh_token"):
		grant = "client_credentials"  # as those write it whose body or address says so
		if grant not in json.dumps([one.get("token_refresh_endpoint"), one.get("refresh_request_body")]):
			one.complain(_("is empty"), "refresh_token")
	if grant not in kinds:
		one.complain(_("{0!r} has no equal", grant), "grant_type")
		return
	found.settings |= {
		"auth_type": kinds[grant],
		"token_url": conversion.text(one, "token_refresh_endpoint"),
		"client_id": conversion.plain_text(one, "client_id"),
		"client_authentication": "Request Body",
	}
	found.secrets["client_secret"] = conversion.secret_text(one, "client_secret")
	if grant == "refresh_token":
		found.secrets["refresh_token"] = conversion.secret_text(one, "refresh_token")
	_oauth_names(conversion, one, found)
	_token_params(conversion, one, found, grant)
	one.complain_of("use_profile_assertion", "profile_assertion", "refresh_request_headers")


def _oauth_names(conversion: Conversion, one: Component, found: Credentials) -> None:
	for field_, setting, usual in (
		("access_token_name", "token_path", "access_token"),
		("expires_in_name", "expires_path", "expires_in"),
	):
		if (name := conversion.text(one, field_, usual)) and name != usual:
			found.settings[setting] = path_of([name])
	for field_ in ("client_id_name", "client_secret_name", "refresh_token_name", "grant_type_name"):
		if one.own.get(field_, field_.removesuffix("_name")) != field_.removesuffix("_name"):
			one.complain(_("has no equal"), field_)
	scopes = conversion.constant_of(one, one.get("scopes"), [])
	if scopes := [text_of(conversion.constant_of(one, scope, "")) for scope in scopes or ()]:
		found.settings["scope"] = " ".join(scopes)


def _token_params(conversion: Conversion, one: Component, found: Credentials, grant: str) -> None:
	"""Write what else the token request says; what it says anyway is left out."""
	body = one.get("refresh_request_body") or {}
	if not isinstance(body, Mapping):
		one.complain(_("is not an object"), "refresh_request_body")
		return
	usual = ("grant_type", "client_id", "client_secret", "refresh_token")
	for name, value in body.items():
		text = text_of(conversion.constant_of(one, value, "", f"refresh_request_body.{name}"))
		if grant == "password" and name == "username" and not secret_names(text):
			found.settings["username"] = text
		elif grant == "password" and name in ("password", "username"):
			found.secrets["secret"] = conversion.secret_of(one, value)
		elif name not in usual:
			_add_secret_line(one, found, "token_params", f"{name}=", text)


def _add_secret_line(one: Component, found: Credentials, setting: str, start: str, text: str) -> None:
	template = found.template(text)
	if template is None:
		one.complain(_("there are more secrets than Password fields"))
	else:
		found.add_line(setting, f"{start}{template}")


def add_header(one: Component, found: Credentials, name: str, text: str) -> None:
	"""Have all requests carry a header in which a secret stands."""
	_add_secret_line(one, found, "extra_headers", f"{name}: ", text)


def add_param(one: Component, found: Credentials, name: str, text: str) -> None:
	"""Have all requests carry a query parameter in which a secret stands."""
	_add_secret_line(one, found, "extra_params", f"{name}=", text)


def _selective(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	value: Any = conversion.config
	for key in one.get("authenticator_selection_path") or ():
		value = value.get(key) if isinstance(value, Mapping) else None
	chosen = one.child("authenticators")
	choice = chosen.child(str(value)) if chosen else None
	if choice is None:
		one.complain(_("there is no authenticator for {0!r}", text_of(value)))
	else:
		_authenticate(conversion, choice, found, requester)


def _session(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	login = one.child("login_requester")
	if login is None:
		one.complain(_("is empty"), "login_requester")
		return
	base = conversion.text(login, "url_base") or conversion.text(login, "url")
	path = conversion.text(login, "path")
	found.settings |= {
		"auth_type": "Session Token",
		"token_url": f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base,
		"login_method": conversion.text(login, "http_method", "GET").upper(),
		"token_path": path_of(one.get("session_token_path") or []),
	}
	_login_body(conversion, login, found)
	if lifetime := conversion.text(one, "expiration_duration"):
		found.settings["token_lifetime"] = duration_seconds(lifetime)
	_token_place(conversion, one, found)


def _login_body(conversion: Conversion, login: Component, found: Credentials) -> None:
	body, form = login.get("request_body_json"), login.get("request_body_data")
	if inner := login.child("authenticator"):
		_login_authentication(conversion, inner, found)
	if isinstance(body, Mapping):
		found.settings["login_body"] = json.dumps(
			{name: _login_value(conversion, login, value, found) for name, value in body.items()}, indent=1
		)
	elif isinstance(form, Mapping):
		lines = (f"{name}={_login_value(conversion, login, value, found)}" for name, value in form.items())
		found.settings |= {"login_body_format": "Form", "login_body": "\n".join(lines)}
	elif body or form:
		login.complain(_("a body that is text has no equal"), "request_body_json")
	for name, value in (login.get("request_headers") or {}).items():
		line = f"{name}: {_login_value(conversion, login, value, found)}"
		found.add_line("login_headers", line)
	login.complain_of("request_parameters", "request_body", "error_handler_of_login")


def _login_value(conversion: Conversion, login: Component, value: Any, found: Credentials) -> Any:
	text = conversion.constant_of(login, value, "")
	if not secret_names(text):
		return text
	template = found.template(text_of(text))
	if template is None:
		login.complain(_("there are more secrets than Password fields"))
	return template or ""


def _login_authentication(conversion: Conversion, inner: Component, found: Credentials) -> None:
	if inner.type != "BasicHttpAuthenticator":
		if inner.type != "NoAuth":
			inner.complain(_("{0} has no equal for a login", inner.type))
		return
	found.settings["username"] = conversion.plain_text(inner, "username")
	found.secrets["secret"] = conversion.secret_text(inner, "password")
	found.settings["login_headers"] = "Authorization: Basic {basic}"


def _token_place(conversion: Conversion, one: Component, found: Credentials) -> None:
	place = one.child("request_authentication")
	if place is None or place.type in ("Bearer", ""):
		return
	option = place.child("inject_into")
	where = {"header": "Header", "request_parameter": "Query"}.get(str(option and option.get("inject_into")))
	if not option or not where:
		place.complain(_("a token in this place has no equal"), "inject_into")
		return
	found.settings |= {
		"sent_in": where,
		"token_name": conversion.text(option, "field_name"),
		"token_format": "{token}",
	}


def _legacy_session(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	base = conversion.text(requester, "url_base")
	found.settings |= {
		"auth_type": "Session Token",
		"token_url": urljoin(f"{base.rstrip('/')}/", conversion.text(one, "login_url").lstrip("/")),
		"login_body": json.dumps({"username": "{username}", "password": "{secret}"}),
		"username": conversion.plain_text(one, "username"),
		"token_path": path_of([conversion.text(one, "session_token_response_key")]),
		"token_name": conversion.text(one, "header"),
		"token_format": "{token}",
	}
	found.secrets["secret"] = conversion.secret_text(one, "password")


def _jwt(conversion: Conversion, one: Component, found: Credentials, requester: Component) -> None:
	algorithm = conversion.text(one, "algorithm")
	field_ = "secret" if algorithm.startswith("HS") else "private_key"
	found.settings |= {"auth_type": "JWT", "jwt_algorithm": algorithm}
	found.secrets[field_] = conversion.secret_text(one, "secret_key")
	if literal(one.get("base64_encode_secret_key")) in (True, "true"):
		one.complain(_("has no equal"), "base64_encode_secret_key")
	claims = _claims(conversion, one, "jwt_payload", {"iss": "iss", "sub": "sub", "aud": "aud"})
	if claims := claims | _claims(conversion, one, "additional_jwt_payload", {}):
		found.settings["jwt_claims"] = json.dumps(claims)
	headers = _claims(conversion, one, "jwt_headers", {"kid": "kid", "typ": "typ", "cty": "cty"})
	if headers := headers | _claims(conversion, one, "additional_jwt_headers", {}):
		found.settings["jwt_headers"] = json.dumps(headers)
	if seconds := conversion.number(one, "token_duration"):
		found.settings["token_lifetime"] = seconds
	if prefix := conversion.text(one, "header_prefix"):
		found.settings["token_format"] = f"{prefix} {{token}}"


def _claims(conversion: Conversion, one: Component, field_: str, known: Mapping[str, str]) -> dict[str, Any]:
	given = one.get(field_)
	if not isinstance(given, Mapping):
		return {}
	found = {}
	for name, value in given.items():
		if name in ("type", "$parameters") or (known and name not in known):
			continue
		text = conversion.constant_of(one, value, "", f"{field_}.{name}")
		if secret_names(text):
			one.complain(_("a secret stands in it, which only credentials may hold"), f"{field_}.{name}")
			continue
		found[known.get(name, name)] = text
	return found


_HANDLERS = {
	"NoAuth": _none,
	"ApiKeyAuthenticator": _api_key,
	"BearerAuthenticator": _bearer,
	"BasicHttpAuthenticator": _basic,
	"OAuthAuthenticator": _oauth,
	"SelectiveAuthenticator": _selective,
	"SessionTokenAuthenticator": _session,
	"LegacySessionTokenAuthenticator": _legacy_session,
	"JwtAuthenticator": _jwt,
}
