"""The request of a list, as settings write it: method, path, query, headers and body, with placeholders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integration_hub.connectors.credential_headers import is_credential
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.pagination import Paginator
from integration_hub.connectors.placeholders import (
	Placeholder,
	Template,
	TemplateError,
	filled_tree,
	path_text,
	placeholders_in,
	read_tree,
	unknown_placeholder,
)
from integration_hub.lazy_messages import _

GET_WITH_BODY = "GET with Body"  # which RFC 9110 (9.3.1) knows no use for, and some search services want
METHODS = ("GET", "POST", GET_WITH_BODY)
BODY_FORMATS = ("", "JSON", "Form", "GraphQL", "Text")
PAGING = ("page", "offset", "cursor", "page_size")
# What a request of a list may name; a name that ends with a dot stands for all that is within it.
PLACEHOLDERS = ("since", "until", "now", *PAGING, "last_key", "parent.", "slice.", "settings.")

Problem = tuple[str, str]  # field, sentence


@dataclass(frozen=True)
class Call:
	"""One request, ready to be sent. options: for `BaseConnector.request`, beside method and path."""

	method: str
	path: str
	options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RequestTemplate:
	"""The templates of a list's requests. `RequestTemplate.read` makes one from settings."""

	method: str
	path: Template
	params: Sequence[tuple[str, Template]] = ()
	headers: Sequence[tuple[str, Template]] = ()
	body_format: str = ""
	body: Any = None
	query: str = ""  # GraphQL's, whose own braces are no placeholders

	@classmethod
	def read(cls, request: ListRequest) -> RequestTemplate:
		"""Read the templates of a request. Raises ConfigurationError, which names the field."""
		for name, problem in template_problems(request):
			raise ConfigurationError(f"{name}: {problem}", field=name)
		is_graphql = request.body_format == "GraphQL"
		return cls(
			request.method,
			Template.read(request.endpoint),
			tuple(_pairs(request.params)),
			tuple((name, Template.read(value)) for name, value in header_lines(request.headers)),
			request.body_format,
			_read_body(
				"JSON" if is_graphql else request.body_format,
				request.variables if is_graphql else request.body,
			),
			request.body if is_graphql else "",
		)

	@property
	def placeholders(self) -> Iterator[Placeholder]:
		"""Return the placeholders of all its parts."""
		yield from self.path.placeholders
		for _name, template in (*self.params, *self.headers):
			yield from template.placeholders
		yield from placeholders_in(self.body)

	def uses(self, name: str) -> bool:
		"""Tell whether a placeholder of this name stands anywhere."""
		return any(name in (place.name, place.root) for place in self.placeholders)

	def call(self, paginator: Paginator, values: Mapping[str, Any], params: Mapping[str, Any]) -> Call:
		"""Return the request for the page that a paginator stands at.

		values: of the placeholders. params: further query parameters. What the paginator sends is a query parameter
		only where no placeholder of the same name stands elsewhere. Raises ConfigurationError.
		"""
		try:
			return self._call(
				paginator,
				{**values, **{name: value for name, (_p, value) in paginator.sent().items()}},
				params,
			)
		except TemplateError as error:
			raise ConfigurationError(f"endpoint: {error}", field="endpoint") from None

	def _call(self, paginator: Paginator, values: Mapping[str, Any], params: Mapping[str, Any]) -> Call:
		path = path_text(self.path, values)
		if path is None:
			missing = ", ".join(str(place) for place in self.path.placeholders)
			raise TemplateError(_("{0} has no value here", missing))
		query = {**_filled(self.params, values), **params}
		paging = {
			param: str(value)
			for name, (param, value) in paginator.sent().items()
			if param and value is not None and not self._is_placed(name)
		}
		headers = {
			name: text for name, template in self.headers if (text := template.text(values)) is not None
		}
		options: dict[str, Any] = {"headers": headers} if headers else {}
		path, options["params"] = paginator.update_request(path, {**query, **paging})
		if self.method != "GET":
			options |= {"repeatable": True, **self._body_options(values)}
		return Call("GET" if self.method == GET_WITH_BODY else self.method, path, options)

	def _is_placed(self, name: str) -> bool:
		"""Tell whether the settings say where this part of the paging stands: all of it, where a body has some."""
		in_body = any(place.name in PAGING for place in placeholders_in(self.body))
		return in_body or self.uses(name)

	def _body_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
		filled = filled_tree(self.body, values)
		if self.body_format == "GraphQL":
			return {"json": {"query": self.query, **({"variables": filled} if self.body else {})}}
		if self.body_format == "JSON":
			return {"json": filled}
		if self.body_format == "Form":
			return {"data": filled}
		return {"data": filled.encode()} if filled else {}


def template_problems(request: ListRequest) -> list[Problem]:
	"""Return what is wrong with the templates of a request as (field, sentence)."""
	return [
		*_method_problems(request),
		*(("endpoint", problem) for problem in _problems(request.endpoint)),
		*(
			("params", problem)
			for values in request.params.values()
			for one in _each(values)
			for problem in _problems(one)
		),
		*_header_problems(request.headers),
		*_body_problems(request),
	]


def header_lines(text: str) -> list[tuple[str, str]]:
	"""Return the headers of a text with one `Name: value` a line."""
	lines = (line.partition(":") for line in text.splitlines() if line.strip())
	return [(name.strip(), value.strip()) for name, _colon, value in lines]


_TOKEN = frozenset(
	"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)  # RFC 9110, 5.6.2
# Set by the client itself, or credentials, which have fields of their own.
_KEPT_HEADERS = (
	"host",
	"content-length",
	"transfer-encoding",
	"connection",
	"authorization",
	"cookie",
	"proxy-authorization",
)


def _header_problems(text: str) -> Iterator[Problem]:
	for line in text.splitlines():
		name, colon, value = (part.strip() for part in line.partition(":"))
		if not line.strip():
			continue
		if not colon or not name or not set(name) <= _TOKEN:
			yield "headers", _("{0!r} is not Name: value", line.strip()[:80])
		elif name.lower() in _KEPT_HEADERS or is_credential(name):
			yield "headers", _("{0} cannot be set here", name)
		elif not value.isprintable():
			yield "headers", _("the value of {0} holds characters that no header may hold", name)
		else:
			yield from (("headers", problem) for problem in _problems(value))


def _method_problems(request: ListRequest) -> Iterator[Problem]:
	if request.method not in METHODS:
		yield "method", _("{0!r} is not one of {1}", request.method, ", ".join(METHODS))
	if request.body_format not in BODY_FORMATS:
		yield (
			"body_format",
			_("{0!r} is not one of {1}", request.body_format, ", ".join(filter(None, BODY_FORMATS))),
		)
	if request.body_format and request.method == "GET":
		yield "body_format", _("a GET request has no body; choose POST as Method (method)")


def _body_problems(request: ListRequest) -> Iterator[Problem]:
	is_graphql = request.body_format == "GraphQL"
	if is_graphql and not request.body.strip():
		yield "body", _("holds no GraphQL query")
	field_, text = ("variables", request.variables) if is_graphql else ("body", request.body)
	try:
		found = list(placeholders_in(_read_body("JSON" if is_graphql else request.body_format, text)))
	except (TemplateError, ValueError) as error:
		yield field_, str(error)
		return
	if unknown := unknown_placeholder(found, PLACEHOLDERS):
		yield field_, unknown


def _read_body(body_format: str, text: str) -> Any:
	"""Return a body's template. Raises ValueError."""
	if body_format == "JSON":
		try:
			tree = json.loads(text) if text.strip() else {}
		except (ValueError, RecursionError) as error:
			raise ValueError(_("is not JSON: {0}", str(error))) from None
		return read_tree(tree)
	if body_format == "Form":
		pairs: dict[str, Any] = {}
		for line in filter(str.strip, text.splitlines()):
			name, equals, value = line.strip().partition("=")
			if not equals:
				raise ValueError(_("{0!r} is not name=value", line.strip()[:80]))
			pairs.setdefault(name, []).append(Template.read(value))
		return pairs
	return Template.read(text)


def _problems(text: str) -> Iterator[str]:
	try:
		if unknown := unknown_placeholder(Template.read(text).placeholders, PLACEHOLDERS):
			yield unknown
	except TemplateError as error:
		yield str(error)


def _pairs(params: Mapping[str, Any]) -> Iterator[tuple[str, Template]]:
	for name, values in params.items():
		for value in _each(values):
			yield name, Template.read(value)


def _each(values: Any) -> Iterable[str]:
	return [str(value) for value in values] if isinstance(values, list | tuple) else [str(values)]


def _filled(params: Iterable[tuple[str, Template]], values: Mapping[str, Any]) -> dict[str, Any]:
	"""Return query parameters with their values; one whose placeholder has no value is left out."""
	found: dict[str, list[str]] = {}
	for name, template in params:
		if (text := template.text(values)) is not None:
			found.setdefault(name, []).append(text)
	return {name: texts if len(texts) > 1 else texts[0] for name, texts in found.items()}
