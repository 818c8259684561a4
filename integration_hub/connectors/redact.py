"""One redaction for everything that may be shown or stored: by name and by value."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping

from integration_hub.connectors import secret_forms
from integration_hub.connectors.app_code import error_text, untouched
from integration_hub.connectors.markup import is_markup

MASK = "[redacted]"

_NAME = re.compile(
	r"(authorization|cookie|password|passwd|secret|token|api[-_]?key|signature|credential|assertion|code_verifier)",
	re.IGNORECASE,
)
# Each of these looks at a character a bounded number of times: what is masked comes from others, and a word of a
# megabyte must cost no more than one of ten letters each. So a name is found by its keyword, wherever it begins.
_PAIR = re.compile(
	r"""(?P<name>(?:authorization|password|passwd|secret|token|api[-_]?key|signature|assertion)[\w.-]{0,64}\\{0,8}["']?\s{0,8}[=:]\s{0,8})"""
	r"""(?P<value>\\{1,8}"[^"\\]*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?:Bearer|Basic|token)\s{1,8}[^\s&,;"'}]+|[^\s&,;"'}]+)""",
	re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_BEYOND = 8192  # characters that are read behind a cut: what is masked makes room for them
_STRETCHED = 12  # times a secret's own length, written in two ways at once
_LONGEST = 65_536


def says_secret(name: str) -> bool:
	"""Tell whether a name says that its value is a secret."""
	return bool(_NAME.search(name))


class Redactor:
	"""Masks known secrets wherever they stand, and the values of fields whose name says secret."""

	def __init__(self, secrets: Iterable[str | None] = ()) -> None:
		self._known: set[str] = set()
		self._forms: set[str] = set()
		self._longest = 0
		for value in secrets:
			self.add(value)

	def add(self, value: str | None) -> None:
		"""Remember a secret; from now on it never prints, however it is escaped on the way."""
		if not value or value in self._known:
			return
		self._known.add(value)
		self._forms |= secret_forms.forms(value)
		longest = max(map(len, self._forms), default=0)
		self._longest = min(longest * _STRETCHED, _LONGEST)

	@property
	def known(self) -> frozenset[str]:
		"""Return the secrets themselves, to look for them in other texts."""
		return frozenset(self._known)

	@property
	def size(self) -> int:
		"""Return the number of known secrets; it grows when one is learned."""
		return len(self._known)

	def text(self, text: object, limit: int | None = None) -> str:
		"""Return `text` as a string without secrets, cut to `limit` characters after masking."""
		whole = error_text(text)
		known = whole if limit is None else whole[: limit + _BEYOND + self._longest]
		clean = known.encode("utf-8", "backslashreplace").decode("utf-8")  # lone surrogates fit nowhere
		end = len(clean)
		if len(known) < len(whole):
			end -= self._longest  # half a secret may stand at its end
		clean = self._masked(clean, end)
		clean = _USERINFO.sub(f"{MASK}@", clean)
		clean = _PAIR.sub(rf"\g<name>{MASK}", clean)
		if len(known) == len(whole) and (limit is None or len(clean) <= limit):
			return clean
		return f"{clean[:limit]}…"

	def trace(self, error: BaseException, limit: int) -> str:
		"""Return the traceback of an error without secrets; what the error says is plain text there, too."""
		trace, said = "".join(traceback.format_exception(error)), error_text(error)
		if said and is_markup(error):
			trace = trace.replace(untouched(error), said)
		return self.text(trace, limit)

	def _masked(self, text: str, end: int) -> str:
		"""Return the text up to `end`, its known secrets masked: the mask is as long for each."""
		shown, at = [], 0
		for start, stop in sorted(secret_forms.find(text, self._forms) if self._forms else ()):
			if start >= end:
				break
			if start > at or not shown:  # of what follows at once, one mask shows less
				shown += text[at:start], MASK
			at = max(at, stop)
		return "".join((*shown, text[at:end]))

	def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
		"""Return the headers with the values of secret-bearing names masked."""
		return {k: MASK if says_secret(k) else self.text(v) for k, v in headers.items()}

	def __repr__(self) -> str:
		return f"<Redactor of {len(self._known)} secrets>"
