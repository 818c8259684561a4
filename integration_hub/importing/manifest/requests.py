"""`HttpRequester`, as the request of a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from integration_hub.connectors.credential_headers import is_credential
from integration_hub.connectors.request_template import GET_WITH_BODY
from integration_hub.importing.manifest.authentication import Credentials, add_header, add_param
from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.draft import Draft, merged
from integration_hub.importing.manifest.expressions import Expr, Unconverted, as_text, text_of
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.lazy_messages import _

_BODIES = {
	"RequestBodyJsonObject": "request_body_json",
	"RequestBodyUrlEncodedForm": "request_body_data",
	"RequestBodyPlainText": "request_body_data",
	"RequestBodyGraphQL": "graphql",
}


def request(conversion: Conversion, requester: Component, draft: Draft, credentials: Credentials) -> str:
	"""Write a requester into a stream, and secrets that stand in it into the credentials; return the base URL.

	Complaints for what has no equal.
	"""
	base = conversion.text(requester, "url_base") or conversion.text(requester, "url")
	_path(conversion, requester, draft, credentials)
	if (endpoint := str(draft.settings["endpoint"])).startswith(("https://", "http://")):
		base, path = base_parts(endpoint)
		draft.settings["endpoint"] = "/".join(path)
	draft.settings["method"] = _method(conversion, requester)
	for one in (requester, requester.child("request_options_provider")):
		if one is not None:
			_options(conversion, one, draft, credentials)
	requester.complain_of("fetch_properties", "query_properties")
	return base


def _method(conversion: Conversion, requester: Component) -> str:
	method = conversion.text(requester, "http_method", "GET").upper()
	if method not in ("GET", "POST"):
		requester.complain(_("{0} has no equal; there are {1}", method, "GET, POST"), "http_method")
		return "GET"
	return method


def _path(conversion: Conversion, requester: Component, draft: Draft, credentials: Credentials) -> None:
	"""Write the path, and the query that stands in it: there a secret is a parameter of the credentials."""
	text = ""
	try:
		text = draft.writer.write(_hidden(as_text(requester.get("path") or "", conversion.scope(requester))))
	except Unconverted as error:
		requester.complain(str(error), "path")
	endpoint, _mark, query = text.partition("?")
	parts = [part for part in query.split("&") if part]
	if not all("=" in part for part in parts):  # as `index.php?/api/v2/…` writes its path
		endpoint, parts = text, []
	if _HIDDEN[0] in endpoint:
		requester.complain(_("a secret stands in it, which only credentials may hold"), "path")
		endpoint = ""
	draft.settings["endpoint"] = endpoint
	for part in parts:
		_query_part(conversion, requester, draft, credentials, part)


def _query_part(
	conversion: Conversion, requester: Component, draft: Draft, credentials: Credentials, part: str
) -> None:
	if _HIDDEN[0] not in part:
		draft.params.append(part)
		return
	name, _equals, value = _shown(part).partition("=")
	_secret_line(conversion, requester, credentials, "request_parameter", name, value)


_HIDDEN = ("\ue000", "\ue001")  # in place of the marks of a secret, while its place is looked for


def _hidden(found: Any) -> Any:
	"""Return a text whose secrets a template may hold for a while."""
	if isinstance(found, Expr):
		return Expr(found.op, tuple(_hidden(part) for part in found.args)) if found.op == "text" else found
	return found.replace("\x01", _HIDDEN[0]).replace("\x02", _HIDDEN[1]) if isinstance(found, str) else found


def _shown(text: str) -> str:
	return text.replace(_HIDDEN[0], "\x01").replace(_HIDDEN[1], "\x02")


def _options(conversion: Conversion, one: Component, draft: Draft, credentials: Credentials) -> None:
	_lines(conversion, one, draft, credentials, "request_parameters", "request_parameter")
	_lines(conversion, one, draft, credentials, "request_headers", "header")
	body = one.get("request_body")
	kind = _BODIES.get(body.get("type", "")) if isinstance(body, Mapping) else None
	if body and not kind:
		one.complain(_("has no equal"), "request_body")
	if kind == "graphql":
		_graphql(conversion, one, draft, body["value"])
	_json_body(
		conversion, one, draft, body["value"] if kind == "request_body_json" else one.get("request_body_json")
	)
	_form_body(
		conversion, one, draft, body["value"] if kind == "request_body_data" else one.get("request_body_data")
	)


def _lines(
	conversion: Conversion, one: Component, draft: Draft, credentials: Credentials, field: str, place: str
) -> None:
	given = one.get(field)
	if isinstance(given, str):
		given = conversion.value(one, given, field)
	if not isinstance(given, Mapping):
		if given:
			one.complain(_("is not an object"), field)
		return
	for name, value in given.items():
		for text in value if isinstance(value, list) else [value]:
			_line(conversion, one, draft, credentials, f"{field}.{name}", place, str(name), text)


def _line(
	conversion: Conversion,
	one: Component,
	draft: Draft,
	credentials: Credentials,
	field: str,
	place: str,
	name: str,
	value: Any,
) -> None:
	"""Write one parameter or header; a value that is undefined is not sent."""
	if isinstance(value, Mapping):
		one.complain(_("has no equal"), field)
		return
	try:
		found = as_text(value, conversion.scope(one))
		if secret_names(found):
			_secret_line(conversion, one, credentials, place, name, value)
			return
		text = draft.writer.write(found)
	except Unconverted as error:
		one.complain(str(error), field)
		return
	if text == "" and isinstance(value, str) and "{" in value:
		return
	if place == "header" and _is_login(name):
		credentials.add_line("extra_headers", f"{name}: {text.strip()}")
	elif "\n" in text.strip():
		one.complain(_("holds more than one line"), field)
	else:
		draft.add(place, name, text.strip())


def _is_login(name: str) -> bool:
	return is_credential(name) or name.lower() in ("authorization", "cookie", "host")


def _secret_line(
	conversion: Conversion, one: Component, credentials: Credentials, place: str, name: str, value: Any
) -> None:
	"""Have the credentials carry what is secret: as the key itself where there is none yet."""
	text = conversion.secret_of(one, value)
	if credentials.settings.get("auth_type", "None") == "None" and not credentials.secrets:
		kind = "API Key Header" if place == "header" else "API Key Query"
		credentials.settings |= {"auth_type": kind, "api_key_name": name}
		credentials.secrets["secret"] = text
	elif place == "header":
		add_header(one, credentials, name, text)
	else:
		add_param(one, credentials, name, text)


def _json_body(conversion: Conversion, one: Component, draft: Draft, given: Any) -> None:
	if not given:
		return
	if isinstance(given, str):
		given = _parsed(conversion, one, draft, given)
	if not isinstance(given, Mapping):
		if given is not None:
			one.complain(_("is not an object"), "request_body_json")
		return
	draft.json_body = merged(_tree(conversion, one, draft, given), draft.json_body)


def _parsed(conversion: Conversion, one: Component, draft: Draft, text: str) -> Any:
	"""Return the JSON that a text of Jinja gives."""
	found = conversion.value(one, text, "request_body_json")
	if isinstance(found, Mapping) or found is None:
		return found
	try:
		return json.loads(draft.writer.write(found))
	except (ValueError, Unconverted) as error:
		one.complain(_("is no JSON: {0}", str(error)[:200]), "request_body_json")
		return None


def _tree(conversion: Conversion, one: Component, draft: Draft, value: Any) -> Any:
	if isinstance(value, Mapping):
		return {
			_key(conversion, one, key): _tree(conversion, one, draft, below) for key, below in value.items()
		}
	if isinstance(value, list):
		return [_tree(conversion, one, draft, below) for below in value]
	found = conversion.value(one, value, "request_body_json")
	if secret_names(found):
		one.complain(_("a secret in a body has no equal"), "request_body_json")
		return None
	if isinstance(found, str | Expr):
		return conversion.template(one, value, draft.writer, "request_body_json") or ""
	return _plain(found)


def _plain(found: Any) -> Any:
	"""Return a constant as JSON has it."""
	if isinstance(found, Mapping):
		return {str(key): _plain(value) for key, value in found.items()}
	if isinstance(found, list | tuple):
		return [_plain(value) for value in found]
	return found if isinstance(found, str | int | float | bool) or found is None else text_of(found)


def _key(conversion: Conversion, one: Component, key: Any) -> str:
	return text_of(conversion.constant_of(one, key, "", "request_body_json"))


def _form_body(conversion: Conversion, one: Component, draft: Draft, given: Any) -> None:
	if not given:
		return
	if isinstance(given, str):
		text = conversion.template(one, given, draft.writer, "request_body_data")
		draft.settings |= {"body_format": "Text", "body": text or ""}
		return
	for name, value in given.items():
		if (text := conversion.template(one, value, draft.writer, f"request_body_data.{name}")) is not None:
			draft.form_body.append(f"{name}={text}")


def _graphql(conversion: Conversion, one: Component, draft: Draft, given: Any) -> None:
	query = given.get("query") if isinstance(given, Mapping) else None
	found = conversion.constant_of(one, query, "", "request_body.value.query")
	draft.json_body["query"] = draft.writer.write(text_of(found))
	one_variables = given.get("variables") if isinstance(given, Mapping) else None
	if isinstance(one_variables, Mapping):
		draft.json_body["variables"] = _tree(conversion, one, draft, one_variables)


def finish_request(requester: Component, draft: Draft) -> None:
	"""Write the lines of the request as the settings that they are."""
	settings = draft.settings
	if draft.params:
		settings["params"] = "\n".join(draft.params)
	if draft.headers:
		settings["headers"] = "\n".join(draft.headers)
	if draft.json_body:
		settings |= {"body_format": "JSON", "body": json.dumps(draft.json_body, ensure_ascii=False, indent=1)}
	elif draft.form_body:
		settings |= {"body_format": "Form", "body": "\n".join(draft.form_body)}
	if settings.get("body_format") and settings["method"] == "GET":
		settings["method"] = GET_WITH_BODY
	if settings.pop("_token_unplaced", False) and draft.token and not draft.uses(draft.token.name):
		_first_page_only(draft)


def _first_page_only(draft: Draft) -> None:
	"""Have a stream fetch one page: its paginator sends the next page's token nowhere, so there is no other."""
	for name in (
		"cursor_path",
		"more_path",
		"page_param",
		"first_page",
		"first_page_unsent",
		"short_page_ends",
	):
		draft.settings.pop(name, None)
	if size := draft.settings.pop("page_size_param", ""):
		draft.params.append(f"{size}={draft.settings.pop('page_size')}")
		draft.settings["params"] = "\n".join(draft.params)
	draft.settings["pagination"] = "None"


def base_parts(url: str) -> tuple[str, list[str]]:
	"""Return a URL's origin, and the parts of its path."""
	parts = urlsplit(url)
	return f"{parts.scheme}://{parts.netloc}", [part for part in parts.path.split("/") if part]
