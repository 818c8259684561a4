"""The one place that knows how a secret may be written: in JSON, URLs, HTML, Base64, quoted-printable, `repr`.

A secret that went through two of them in a row has more forms than can be listed. So it is the text that is read,
in each of these ways and in each within another; a secret is looked for in all that comes out, as it is.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qsl, unquote

Span = tuple[int, int]

SHORTEST = 4  # characters: shorter values occur in ordinary words
_DEPTH = 3  # ways of writing, one within another
_SECRET_OPTIONS = frozenset({"password", "token", "secret", "api_key", "apikey", "key"})
_BACKSLASHED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_BACKSLASHED |= {mark: mark for mark in "\\\"'/"}


def forms(secret: str) -> set[str]:
	"""Return what a secret looks like once it is read, each form at least SHORTEST long.

	That is itself, what it is made of, and what senders make of both before they write them.
	"""
	made = {form for part in _parts(secret.strip()) for form in _sent(part)}
	return {form for form in made if len(form) >= SHORTEST}


def _parts(secret: str) -> Iterator[str]:
	"""Return a secret and what is secret of it by itself: the halves of a pair, the password of a URL."""
	yield secret
	if "://" in secret:
		password = _password(secret)
		yield password
		yield unquote(password)
		yield from (value for name, value in parse_qsl(secret.partition("?")[2]) if name in _SECRET_OPTIONS)
		return
	scheme, _space, rest = secret.partition(" ")
	pair = rest if scheme.lower() in ("basic", "bearer", "token") else secret
	yield pair
	if scheme.lower() == "basic":
		pair = _bytes_of(pair).decode("utf-8", "replace")
	if ":" in pair:
		yield from pair.split(":", 1)
	# A key in PEM is shown by lines.
	yield from (line for line in secret.splitlines() if len(line) > 16)


def _password(url: str) -> str:
	return url.partition("://")[2].rpartition("@")[0].partition(":")[2]


def _sent(secret: str) -> Iterator[str]:
	"""Return what senders make of a secret: Latin-1, hex; the key behind `whsec_`, and its bytes."""
	raw = secret.encode("utf-8", "replace")
	yield from (secret, raw.hex(), raw.hex().upper(), _latin(secret))
	key = secret.removeprefix("whsec_")
	if key != secret:
		raw = _bytes_of(key)
		yield from (key, key.rstrip("="), raw.hex(), raw.hex().upper())
		yield from (raw.decode("utf-8", "surrogateescape"), raw.decode("latin-1"))


def _latin(text: str) -> str:
	"""Return text that was sent as Latin-1, as it looks when its bytes are read as UTF-8; "" if it is none."""
	try:
		return text.encode("latin-1").decode("utf-8", "surrogateescape")
	except UnicodeEncodeError:
		return ""


def _bytes_of(key: str) -> bytes:
	"""Return what Base64 of either alphabet holds, padded or not; b"" if it is none."""
	try:
		return a2b_base64(key.replace("-", "+").replace("_", "/").rstrip("=") + "===")
	except ValueError:
		return b""


def find(text: str, wanted: Iterable[str]) -> list[Span]:
	"""Return where in a text one of the wanted forms is written, in whatever way."""
	return _Search(tuple(wanted)).find(text, _DEPTH)


class _Search:
	"""One search through what a text can be read as; each reading is looked at once."""

	def __init__(self, wanted: tuple[str, ...]) -> None:
		self._wanted = wanted
		self._seen: dict[
			int, tuple[int, list[Span]]
		] = {}  # the hash of a text → how far it was read, and what for

	def find(self, text: str, depth: int) -> list[Span]:
		read, found = self._seen.get(hash(text), (-1, []))
		if read < depth:
			self._seen[hash(text)] = depth, []  # a text that reads as itself
			found = [*self._plain(text), *(self._further(text, depth - 1) if depth else ())]
			self._seen[hash(text)] = depth, found
		return found

	def _further(self, text: str, depth: int) -> Iterator[Span]:
		for way in _WAYS:
			yield from self._within(way, text, depth)
		yield from self._within_base64(text, min(depth, 1))

	def _plain(self, text: str) -> Iterator[Span]:
		for form in self._wanted:
			at = text.find(form)
			while at >= 0:
				yield at, at + len(form)
				at = text.find(form, at + 1)

	def _within(self, way: _Way, text: str, depth: int) -> list[Span]:
		if way.mark not in text:
			return []
		found = self.find(way.escape.sub(way.read, text), depth)
		return way.places(text, found) if found else []

	def _within_base64(self, text: str, depth: int) -> list[Span]:
		runs = [match.span() for match in _RUN.finditer(text)]
		found = self.find(_decoded(text, runs), depth) if runs else []
		return [*_runs_of(found, text, runs)] if found else []


@dataclass(frozen=True)
class _Way:
	"""A way of writing that escapes some characters. mark: without it a text has no such escape."""

	mark: str
	escape: re.Pattern[str]
	read: Callable[[re.Match[str]], str]

	def places(self, text: str, found: list[Span]) -> list[Span]:
		"""Return where in `text` the spans are that were found in what it is read as."""
		outs, ends, ins, shift = [0], [0], [(0, 0)], 0
		for match in self.escape.finditer(text):
			outs.append(match.start() + shift)
			shift += len(self.read(match)) - len(match[0])
			ends.append(match.end() + shift)
			ins.append(match.span())

		def origin(at: int) -> Span:
			number = bisect_right(outs, at) - 1
			if at < ends[number]:
				return ins[number]
			start = at - ends[number] + ins[number][1]
			return start, start + 1

		return [(origin(start)[0], origin(end - 1)[1]) for start, end in found]


def _backslashed(match: re.Match[str]) -> str:
	text = match[0]
	kind = text[1]
	if kind == "u" and len(text) > 6:  # the two halves of a character
		return chr(0x10000 + ((int(text[2:6], 16) & 0x3FF) << 10) + (int(text[8:], 16) & 0x3FF))
	if kind == "x":
		return _text_of(bytes.fromhex(text.replace("\\x", "")), "latin-1")
	if kind in "uU":
		number = int(text[2:], 16)
		return chr(number) if number < 0x110000 else text
	return _BACKSLASHED[kind]


def _percent(match: re.Match[str]) -> str:
	return _text_of(bytes.fromhex(match[0].replace("%", "")))


def _form(match: re.Match[str]) -> str:
	return " " if match[0] == "+" else _percent(match)


def _quoted_printable(match: re.Match[str]) -> str:
	return _text_of(bytes.fromhex(_SOFT_BREAK.sub("", match[0]).replace("=", "")))


def _entity(match: re.Match[str]) -> str:
	"""Read an entity; a number as its character, which `html.unescape` does not for control characters."""
	name = match[0][1:-1]
	if name[0] != "#":
		return unescape(match[0])
	number = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
	return chr(number) if number < 0x110000 else match[0]


def _text_of(raw: bytes, otherwise: str = "") -> str:
	"""Return bytes as text: UTF-8, and what is none in the other encoding, or marked as such."""
	if not otherwise:
		return raw.decode("utf-8", "surrogateescape")
	try:
		return raw.decode()
	except UnicodeDecodeError:
		return raw.decode(otherwise)


_SOFT_BREAK = re.compile(r"=\r?\n")
_HIGH = "[89A-Fa-f][0-9A-Fa-f]"  # a byte that is a part of a character
_LOW = "[0-7][0-9A-Fa-f]"
_WAYS = (
	_Way(
		"\\",
		re.compile(
			r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}"
			rf"|(?:\\x{_HIGH})+|\\x{_LOW}|\\[nrtbf\\\"'/]"
		),
		_backslashed,
	),
	_Way("%", re.compile(f"(?:%{_HIGH})+|%{_LOW}"), _percent),
	_Way("+", re.compile(rf"(?:%{_HIGH})+|%{_LOW}|\+"), _form),
	_Way("&", re.compile("&(?:#[0-9]{1,8}|#[xX][0-9A-Fa-f]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});"), _entity),
	_Way("=", re.compile(rf"(?:={_HIGH}(?:=\r?\n)*)+|={_LOW}|=\r?\n"), _quoted_printable),
	# Printable characters need no such escape: `key=41…` may be a value that begins with 41.
	_Way(
		"=",
		re.compile(rf"(?:={_HIGH}(?:=\r?\n)*)+|=(?:[01][0-9A-Fa-f]|20|3[Dd]|7[Ff])|=\r?\n"),
		_quoted_printable,
	),
)

_BASE64 = "[A-Za-z0-9+/_-]"
# Shorter ones hold no secret. Some writers break the lines.
_RUN = re.compile(rf"(?:{_BASE64}{{60,}}\r?\n)+{_BASE64}*|{_BASE64}{{6,}}")
_GAP = "AAAA"  # stands between runs, three NULs once it is decoded


def _decoded(text: str, runs: list[Span]) -> str:
	"""Return what runs of Base64 hold: a run may begin anywhere within a group of four."""
	return "".join(
		a2b_base64("".join(pieces)).decode("utf-8", "surrogateescape") for pieces in _pieces(text, runs)
	)


def _pieces(text: str, runs: list[Span]) -> Iterator[list[str]]:
	text = text.replace("-", "+").replace("_", "/")
	plain = [_unbroken(text[start:end]) for start, end in runs]
	for shift in range(4):
		yield [f"{_GAP[:shift]}{run}{_GAP[(shift + len(run) - 1) % 4 + 1 :]}{_GAP}" for run in plain]


def _unbroken(run: str) -> str:
	return run if "\n" not in run else run.replace("\r", "").replace("\n", "")


def _runs_of(found: list[Span], text: str, runs: list[Span]) -> Iterator[Span]:
	"""Return the runs, with their padding, in whose decoded text something was found."""
	ends, end = [], 0
	for pieces in _pieces(text, runs):
		for piece in pieces:
			end += len(a2b_base64(piece).decode("utf-8", "surrogateescape"))
			ends.append(end)
	for number in {bisect_right(ends, start) % len(runs) for start, _end in found}:
		start, end = runs[number]
		while text[end : end + 1] == "=":
			end += 1
		yield start, end
