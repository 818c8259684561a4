"""Tables for spreadsheets whose cells calculate nothing: what a stranger wrote is text there, too.

A cell that begins with = + - or @ is a formula for Excel and LibreOffice, and can send what stands beside it away.
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any
from unicodedata import category, normalize

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?")
_STARTS = frozenset("=+-@")


def as_text(cell: Any) -> Any:
	"""Return a cell that a spreadsheet shows as it is: an apostrophe goes before what it would calculate."""
	return f"'{cell}" if isinstance(cell, str) and _calculates(cell) else cell


def _calculates(text: str) -> bool:
	if text[:1] in ("\t", "\r", "\n"):
		return True
	at = next((n for n, c in enumerate(text) if not (c.isspace() or category(c) in ("Cc", "Cf"))), None)
	# Full-width forms are read as the signs they stand for.
	return at is not None and normalize("NFKC", text[at]) in _STARTS and not _NUMBER.fullmatch(text[at:])


def csv_as_text(table: str, delimiter: str = ",") -> str:
	"""Return a table in CSV whose cells are text; quotes and line ends stay as they are."""
	mark = re.escape(delimiter)
	cell = re.compile(rf'("(?:[^"]|"")*"|[^{mark}\r\n]*)({mark}|\r\n|\n|\r|\Z|(?=.))', re.DOTALL)
	return cell.sub(_csv_cell, table)


def _csv_cell(match: re.Match[str]) -> str:
	written, end = match.groups()
	if written.startswith('"'):
		inner = written[1:-1]
		return f'"{as_text(inner)}"{end}'
	return f"{as_text(written)}{end}"


def xlsx_as_text(content: bytes) -> bytes:
	"""Return a workbook whose cells are text: openpyxl, which writes them, takes text that begins with = for a formula."""
	from openpyxl import load_workbook  # only sites have it

	book = load_workbook(BytesIO(content))
	for sheet in book.worksheets:
		for row in sheet.iter_rows():
			for cell in row:
				if (shown := as_text(cell.value)) is not cell.value:
					cell.value = shown
	file = BytesIO()
	book.save(file)
	return file.getvalue()
