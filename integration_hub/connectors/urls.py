"""The URLs of one external system: where a request goes, and that it stays with the host of the base URL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote_plus, urlencode, urljoin, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from integration_hub.connectors.errors import ConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_AMBIGUOUS = re.compile(r"[\x00-\x20\\\x7f]")
_ABSOLUTE = re.compile(r"(https?://[^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class OtherOrigin(ValueError):
	"""A URL leads to another host; the text says what differs."""


def origin(url: str) -> tuple[str, str, int | None]:
	"""Return (scheme, host, port) of a URL. Raises ConfigurationError where it has none."""
	# A text that parsers read differently may lead elsewhere: only what all read alike is a URL here. The
	# parser is the one that connects.
	if _AMBIGUOUS.search(url):
		raise ConfigurationError("The URL holds characters that do not belong in one.", field="base_url")
	try:
		parts = parse_url(url)
	except LocationParseError:
		raise ConfigurationError("The URL is not valid.", field="base_url") from None
	if parts.auth:
		raise ConfigurationError("The URL holds credentials; they belong into fields.", field="base_url")
	scheme = parts.scheme or ""
	port = _DEFAULT_PORTS.get(scheme) if parts.port is None else parts.port
	return scheme, (parts.host or "").lower(), port


def joined(base_url: str, path: str) -> str:
	"""Return `path` below the base URL, or an absolute `path` where it is on the same host.

	Raises OtherOrigin where it is not, ConfigurationError where it is no URL.
	"""
	base = base_url.rstrip("/") + "/"
	absolute = _ABSOLUTE.fullmatch(path)
	# Names of DocTypes have spaces, and so have the links that some servers write.
	url = _spaced(absolute) if absolute else base + path.lstrip("/").replace(" ", "%20")
	return on_base_origin(base, url)


def redirected(url: str, location: str) -> str:
	"""Return where a redirect leads. Raises OtherOrigin or ConfigurationError like `joined`, ValueError for no URL."""
	target = urljoin(url, location.strip(" "))
	absolute = _ABSOLUTE.fullmatch(target)
	target = _spaced(absolute) if absolute else target
	found = on_base_origin(url, target)
	if found == url != target:
		base_parts, there = urlsplit(url), urlsplit(target)
		raise OtherOrigin(
			f"asks for {there.scheme}://{there.netloc} instead of {base_parts.scheme}://{base_parts.netloc}."
		)
	return found


def on_base_origin(base: str, url: str) -> str:
	"""Return `url` on the origin of `base`: its own spelling of the same host, and its scheme.

	Behind a proxy that ends TLS, many servers write links with http. They are followed over the scheme of the base
	URL, so that nothing travels less safely than a person wanted. Raises OtherOrigin where host or port differ.
	"""
	base_parts, there = origin(base), origin(url)
	if base_parts == there:
		return url
	if differences := _differences(base_parts, there):
		raise OtherOrigin(f"is not on the host of base_url: {' and '.join(differences)}.")
	rest = _ABSOLUTE.fullmatch(url)
	return f"{base_parts[0]}://{urlsplit(base).netloc}{rest[2] if rest else ''}"


def _differences(base_parts: tuple[str, str, int | None], there: tuple[str, str, int | None]) -> list[str]:
	found = []
	if there[0] not in _DEFAULT_PORTS:
		found.append(f"its scheme is {there[0] or 'missing'} instead of {base_parts[0]}")
	if base_parts[1].rstrip(".") != there[1].rstrip("."):
		found.append(f"its host is {there[1] or 'missing'} instead of {base_parts[1]}")
	usual = all(port == _DEFAULT_PORTS.get(scheme) for scheme, _, port in (base_parts, there))
	if base_parts[2] != there[2] and not usual:
		found.append(f"its port is {there[2]} instead of {base_parts[2]}")
	return found


def _spaced(absolute: re.Match[str]) -> str:
	return absolute[1] + absolute[2].replace(" ", "%20")


def with_query(url: str, params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None) -> str:
	"""Return a URL with query parameters: a list gives its name once for each value, None none.

	Spaces become %20: that is one for every server, while + is one for those alone that take a query for a form.
	"""
	if not params:
		return url
	pairs = params.items() if isinstance(params, Mapping) else params
	flat = [
		(name, value)
		for name, given in pairs
		for value in (given if isinstance(given, list | tuple) else [given])
		if value is not None
	]
	return _appended(url, urlencode(flat, quote_via=quote, safe="")) if flat else url


def with_parameter(url: str, name: str, value: str) -> str:
	"""Return a URL whose query holds `name` once, with `value`; the rest of it stays as it is written."""
	return with_query(without_parameter(url, name), {name: value})


def without_parameter(url: str, name: str) -> str:
	"""Return a URL without the query parameter `name`; the rest of it stays as it is written."""
	head, mark, tail = url.partition("?")
	query, hash_, fragment = tail.partition("#")
	kept = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) != name]
	return head + (mark if any(kept) else "") + "&".join(kept) + hash_ + fragment


def _appended(url: str, query: str) -> str:
	bare = url.partition("#")[0]
	_, mark, there = bare.partition("?")
	return f"{bare}{'&' if there else '' if mark else '?'}{query}"
