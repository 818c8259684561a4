"""Records of responses that are lines: CSV (RFC 4180) and JSON Lines, read one by one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, Any

from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.json_text import read_json
from integration_hub.connectors.response_format import ResponseFormat

Record = dict[str, Any]
LONGEST_LINE = 10 * 1024 * 1024  # characters
csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))  # the process's own, which is never lowered


class Lines:
	"""The lines of a file. ended: does the last one end with a line break?"""

	def __init__(self, file: IO[bytes], charset: str) -> None:
		name = "utf-8-sig" if charset.lower().replace("_", "-") in ("", "utf-8", "utf8") else charset
		self._text = io.TextIOWrapper(file, encoding=name, errors="strict", newline="")
		self._charset = charset or "utf-8"
		self.number = 0
		self.ended = True

	def __iter__(self) -> Iterator[str]:
		while line := self._next():
			self.number += 1
			self.ended = line.endswith(("\n", "\r"))
			yield line

	def _next(self) -> str:
		try:
			line = self._text.readline(LONGEST_LINE + 1)
		except (UnicodeError, LookupError):
			raise MalformedAnswer(
				f"Behind line {self.number} it is not text in {self._charset}. "
				"Name its charset at Response Charset (response_charset)."
			) from None
		if len(line) > LONGEST_LINE:
			raise MalformedAnswer(f"Line {self.number + 1} is longer than {LONGEST_LINE} characters.")
		return line


def json_lines(lines: Lines) -> Iterator[Record]:
	"""Return the records of JSON Lines (NDJSON). Raises MalformedAnswer for a line that is no object."""
	for line in lines:
		if not line.strip():
			continue
		try:
			record = read_json(line)
		except (ValueError, RecursionError):
			raise MalformedAnswer(f"Line {lines.number} is not JSON, or is cut off.") from None
		if not isinstance(record, dict):
			raise MalformedAnswer(f"Line {lines.number} is not an object.")
		yield record


def csv_rows(lines: Lines, chosen: ResponseFormat, id_column: str = "") -> Iterator[Record]:
	"""Return the records of a CSV, whose values are text.

	id_column: the one that a file without rows must have to be an empty list, "" for any. Raises MalformedAnswer for
	a file without it, and for a row that has not as many fields as there are columns, as one that is cut off has not.
	"""
	reader = csv.reader(lines, delimiter=chosen.separator, strict=True)
	names = chosen.names or _header(reader, lines)
	row = None
	for row in _rows(reader, lines):
		if len(row) != len(names):
			raise MalformedAnswer(
				f"Line {lines.number} has {len(row)} fields, and there are {len(names)} columns: it is cut off, or "
				f"the delimiter is not {chosen.separator!r}."
			)
		yield dict(zip(names, row, strict=True))
	if row is None and id_column and id_column not in names:
		raise MalformedAnswer(f"The CSV has no row, and no column {id_column!r}: it may be an error's.")


def _rows(reader: Any, lines: Lines) -> Iterator[list[str]]:
	while True:
		try:
			row = next(reader)
		except StopIteration:
			return
		except csv.Error as error:
			raise MalformedAnswer(f"Line {lines.number} is not CSV, or is cut off ({error}).") from None
		if row:
			yield row


def _header(reader: Any, lines: Lines) -> tuple[str, ...]:
	names = tuple(name.strip() for name in next(_rows(reader, lines), ()))
	if not names:
		raise MalformedAnswer("The CSV has no header. Name its columns at CSV Columns (csv_columns).")
	if names[0].startswith(("{", "[", "<")):
		raise MalformedAnswer("It is not CSV: it begins like JSON, XML or HTML.")
	if "" in names or len(set(names)) < len(names):
		raise MalformedAnswer("The header of the CSV has a column without a name, or a name twice.")
	return names
