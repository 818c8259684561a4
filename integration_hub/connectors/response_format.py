"""Formats of a source's responses, as settings name them, and what is wrong with these settings."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from integration_hub.lazy_messages import _

LINES, CSV, XML = "JSON Lines", "CSV", "XML"
FORMATS = ("", LINES, CSV, XML)  # "": JSON
GZIP, ZIP = "Gzip", "Zip"
COMPRESSIONS = ("", GZIP, ZIP)
_ACCEPTED = {
	LINES: "application/x-ndjson, application/jsonl, */*;q=0.5",
	CSV: "text/csv, */*;q=0.5",
	XML: "application/xml, text/xml, */*;q=0.5",
}
_TABS = frozenset({"tab", "\\t", "\t"})
# Not the writing of a language, or no text at all.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})

Problem = tuple[str, str]  # field, sentence


@dataclass(frozen=True)
class ResponseFormat:
	"""Format, compression and charset ("" for the declared one) of a list's responses, and the CSV's own ways.

	columns: names of the columns of a CSV without a header.
	"""

	kind: str = ""
	compression: str = ""
	charset: str = ""
	delimiter: str = ""
	columns: str = ""

	@classmethod
	def read(cls, options: Mapping[str, str]) -> ResponseFormat:
		"""Read the options of a ListRequest."""
		return cls(**options)

	@property
	def is_plain(self) -> bool:
		"""Tell whether a response is JSON as it is."""
		return not (self.kind or self.compression)

	@property
	def accepts(self) -> str:
		"""Return the Accept header of a request."""
		return _ACCEPTED.get(self.kind, "application/json") if not self.compression else "*/*"

	@property
	def separator(self) -> str:
		"""Return the character between the fields of a CSV."""
		if self.delimiter.strip().lower() in _TABS and self.delimiter:
			return "\t"
		return self.delimiter or ","

	@property
	def names(self) -> tuple[str, ...]:
		"""Return the names of the columns, () where the first line has them."""
		return tuple(name.strip() for name in self.columns.split(",") if name.strip())


def is_charset(name: str) -> bool:
	"""Tell whether text may be in a charset of this name."""
	try:
		found = codecs.lookup(name)
	except (LookupError, ValueError):
		return False
	return found.name.replace("-", "_") not in _NO_CHARSETS and found._is_text_encoding


def format_problems(chosen: ResponseFormat, records_path: str) -> Iterator[Problem]:
	"""Return what is wrong with the settings of a response as (field, sentence)."""
	for field, value, known in (
		("response_format", chosen.kind, FORMATS),
		("response_compression", chosen.compression, COMPRESSIONS),
	):
		if value not in known:
			yield field, _("{0!r} is not one of {1}", value, ", ".join(filter(None, known)))
	if chosen.charset and not chosen.kind:
		yield "response_charset", _("is for JSON Lines, CSV and XML: JSON says it itself")
	if chosen.charset and not is_charset(chosen.charset):
		yield "response_charset", _("{0!r} is not a charset like utf-8 or windows-1252", chosen.charset)
	if chosen.kind == CSV:
		yield from _csv_problems(chosen)
	if chosen.kind in (LINES, CSV) and records_path:
		yield "records_path", _("must be empty: each line of {0} is a record", chosen.kind)
	if chosen.kind == XML and not is_element_path(records_path):
		yield "records_path", _("names the elements down to the record, as Response.Clients.Client, for XML")


def is_element_path(path: str) -> bool:
	"""Tell whether a path is names of elements with dots between."""
	return bool(path) and all(name and not set(name) & set("[]{}()*@|&!<>=` \"'") for name in path.split("."))


def _csv_problems(chosen: ResponseFormat) -> Iterator[Problem]:
	if len(chosen.separator) != 1 or chosen.separator in '"\r\n':
		yield "csv_delimiter", _("{0!r} is not one character, or tab", chosen.delimiter)
	doubled = {name for name in chosen.names if chosen.names.count(name) > 1}
	if doubled:
		yield "csv_columns", _("{0!r} stands there twice", min(doubled))
