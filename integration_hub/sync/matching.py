"""Documents found by several of their fields together."""

from __future__ import annotations

from collections.abc import Sequence

from integration_hub.connectors.numbers import is_number
from integration_hub.stores.database import Database, Row, chunks

Values = tuple[str, ...]
_AT_ONCE = 100


def documents_with(
	db: Database, doctype: str, fields: Sequence[str], wanted: Sequence[Values]
) -> dict[Values, str]:
	"""Return the names of the documents that have all values of one of `wanted` in `fields`; of several, the oldest."""
	found: dict[Values, str] = {}
	for part in chunks(wanted, _AT_ONCE):
		rows = _rows(db, doctype, fields, part)
		exact = {tuple(_text(row[field]) for field in fields): row["name"] for row in rows}
		folded = {_folded(values): name for values, name in exact.items()}
		for values in part:
			if name := exact.get(values) or folded.get(_folded(values)):
				found[values] = name
	return found


def _rows(db: Database, doctype: str, fields: Sequence[str], wanted: Sequence[Values]) -> list[Row]:
	columns = ", ".join(f"`{field}`" for field in fields)
	one = " AND ".join(f"`{field}` = %s" for field in fields)
	sql = f"""SELECT `name`, {columns} FROM `tab{doctype}` WHERE {" OR ".join(f"({one})" for _ in wanted)}
		ORDER BY `creation` DESC"""
	return db.query(sql, [value for values in wanted for value in values])


def _text(value: object) -> str:
	return "" if value is None else str(value)


def _folded(values: Values) -> Values:
	"""Return values as they are compared where none is the same: without regard to case, and 1 as 1.0."""
	return tuple(repr(float(v)) if is_number(v) else v.strip().casefold() for v in values)
