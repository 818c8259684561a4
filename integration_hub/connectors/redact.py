"""One redaction for everything that may be shown or stored: by name and by value."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MASK = "[redacted]"

_NAME = re.compile(
	r"(authorization|cookie|password|passwd|secret|token|api[-_]?key|signature|credential|assertion|code_verifier)",
	re.IGNORECASE,
)
# Each of these looks at a character a bounded number of times: what is masked comes from others, and a word of a
# megabyte shall cost no more than one of ten letters each. So a name is found by its keyword, wherever it begins.
_PAIR = re.compile(
	r"""(?P<name>(?:authorization|password|passwd|secret|token|api[-_]?key|signature|assertion)[\w.-]{0,64}\\{0,8}["']?\s{0,8}[=:]\s{0,8})"""
	r"""(?P<value>\\{1,8}"[^"\\]*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?:Bearer|Basic|token)\s{1,8}[^\s&,;"'}]+|[^\s&,;"'}]+)""",
	re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_MIN_SECRET = 4  # shorter values occur in ordinary words
_BEYOND = 8192  # characters that are read behind a cut: what is masked makes room for them


class Redactor:
	"""Masks known secrets wherever they stand, and the values of fields whose name says secret."""

	def __init__(self, secrets: Iterable[str | None] = ()):
		self._values: set[str] = set()
		self._pattern: re.Pattern[str] | None = None
		self._longest = 0
		for value in secrets:
			self.add(value)

	def add(self, value: str | None) -> None:
		"""Remember a secret; from now on it never prints, however it is escaped on the way."""
		new = {form for form in _forms(value or "") if len(form) >= _MIN_SECRET} - self._values
		if new:
			self._values |= new
			longest_first = sorted(self._values, key=len, reverse=True)
			self._longest = len(longest_first[0])
			self._pattern = re.compile("|".join(map(re.escape, longest_first)))

	def text(self, text: object, limit: int | None = None) -> str:
		"""Return `text` as a string without secrets, cut to `limit` characters after masking."""
		whole = str(text)
		known = whole if limit is None else whole[: limit + _BEYOND + self._longest]
		clean = known.encode("utf-8", "backslashreplace").decode("utf-8")  # lone surrogates fit nowhere
		if self._pattern:
			clean = self._pattern.sub(MASK, clean)
		clean = _USERINFO.sub(f"{MASK}@", clean)
		clean = _PAIR.sub(rf"\g<name>{MASK}", clean)
		if len(known) < len(whole):
			clean = clean[: len(clean) - self._longest]  # half a secret may stand at its end
		elif limit is None or len(clean) <= limit:
			return clean
		return f"{clean[:limit]}…"

	def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
		"""Return the headers with the values of secret-bearing names masked."""
		return {k: MASK if _NAME.search(k) else self.text(v) for k, v in headers.items()}

	def __repr__(self) -> str:
		return f"<Redactor of {len(self._values)} secrets>"


def _forms(value: str) -> set[str]:
	"""Return a secret as it may stand in URLs, JSON, `repr` and headers."""
	bare = value.strip()
	whole = bare.encode(
		"utf-8", "replace"
	)  # an answer's JSON may hold lone surrogates, which no encoding takes
	return {
		value,
		bare,
		quote(whole, safe=""),
		quote(whole),
		quote_plus(whole),
		json.dumps(bare)[1:-1],
		repr(bare)[1:-1],
		base64.b64encode(whole).decode(),
	}
