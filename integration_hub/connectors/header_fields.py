"""Headers of a request among its payload: `header.X-Shopify-Topic` in a path is one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

HEADER = "header"
_MENTIONED = re.compile(r"""(?<![\w."'`])header\.(?:"([^"\\]*)"|([\w-]+))""", re.ASCII)


class HeaderFields(dict):
	"""Headers by lower-case name, found in any case (RFC 9110, 5.1)."""

	def get(self, name: str, default: Any = None) -> Any:
		"""Return a header, `default` if there is none."""
		return self[name] if name in self else super().get(name.lower(), default)

	def __missing__(self, name: str) -> Any:
		if name == name.lower():
			raise KeyError(name)
		return self[name.lower()]


@lru_cache(1000)
def header_mentions(path: str) -> tuple[str, ...]:
	"""Return the headers that a path or a text with paths names, in lower case."""
	if f"{HEADER}." not in path:
		return ()
	return tuple(dict.fromkeys((quoted or plain).lower() for quoted, plain in _MENTIONED.findall(path)))


def is_header(path: str) -> bool:
	"""Tell whether a path is nothing but a header."""
	return _MENTIONED.fullmatch(path.strip()) is not None


def with_header_fields(payload: Any, headers: Mapping[str, str], path: str) -> Any:
	"""Return what a path looks into: the payload, with headers at `header` where the path names any.

	What a payload has at `header` itself goes before. A list has no such place: it stays as it is, unless the path is
	nothing but a header.
	"""
	if not header_mentions(path):
		return payload
	if not isinstance(payload, dict):
		return {HEADER: HeaderFields(headers)} if is_header(path) else payload
	own = payload.get(HEADER)
	return {**payload, HEADER: HeaderFields({**headers, **own} if isinstance(own, dict) else headers)}
