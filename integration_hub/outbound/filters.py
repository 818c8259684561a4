"""Filters as Desk's filter builder writes them, asked of one document: [["Customer", "disabled", "=", 0]]."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.lazy_messages import _

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Filter:
	"""One condition. doctype: of the document, or of one of its child tables; any of its rows may fit."""

	doctype: str
	field: str
	operator: str
	value: Any

	def fits(self, document: Document, tables: Mapping[str, Sequence[str]]) -> bool:
		"""Tell whether a document fits. tables: the fieldnames of child tables by their DocType."""
		check = _OPERATORS[self.operator]
		if self.doctype not in tables:
			return check(document.get(self.field), self.value)
		rows = (row for table in tables[self.doctype] for row in document.get(table) or ())
		return any(check(row.get(self.field), self.value) for row in rows)


def read_filters(text: str) -> list[Filter]:
	"""Read filters. Raises ValueError that says what is wrong, also for an operator that only a database can ask."""
	try:
		found = json.loads(text) if text.strip() else []
	except (ValueError, RecursionError) as error:
		raise ValueError(_("is not JSON: {0}", str(error))) from None
	if isinstance(found, dict):
		found = [["", field, *_pair(value)] for field, value in found.items()]
	if not isinstance(found, list):
		raise ValueError(_("is not a list of filters"))
	return [_read(item) for item in found]


def _pair(value: Any) -> Sequence[Any]:
	return value if isinstance(value, list) and len(value) == 2 else ("=", value)


def _read(item: Any) -> Filter:
	if isinstance(item, list) and len(item) == 3:
		item = ["", *item]
	if not isinstance(item, list) or len(item) < 4 or not all(isinstance(part, str) for part in item[:3]):
		raise ValueError(_("{0} is not a filter: [DocType, field, operator, value]", json.dumps(item)[:80]))
	doctype, field, operator, value = item[0], item[1], item[2].strip().lower(), item[3]
	if operator not in _OPERATORS:
		raise ValueError(_("{0!r} is not one of {1}", item[2], ", ".join(_OPERATORS)))
	return Filter(doctype, field, operator, value)


def _comparable(value: Any, other: Any) -> tuple[Any, Any]:
	"""Return two values as they compare: as numbers if one is a number and both can be, else as text."""
	if isinstance(value, bool | int | float) or isinstance(other, bool | int | float):
		try:
			return float(value or 0), float(other or 0)
		except (TypeError, ValueError):
			pass
	return _text(value), _text(other)


def _text(value: Any) -> str:
	return "" if value is None else str(value)


def _equal(value: Any, other: Any) -> bool:
	one, two = _comparable(value, other)
	return one == two


def _ordered(check: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
	def compare(value: Any, other: Any) -> bool:
		return value not in (None, "") and check(*_comparable(value, other))

	return compare


def _listed(value: Any) -> list[Any]:
	return list(value) if isinstance(value, list) else [part.strip() for part in _text(value).split(",")]


def _like(value: Any, pattern: Any) -> bool:
	parts = re.split(r"([%_])", _text(pattern))
	expression = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts)
	return bool(re.fullmatch(expression, _text(value), re.IGNORECASE | re.DOTALL))


def _is(value: Any, other: Any) -> bool:
	return (value in (None, "")) == (_text(other).lower() == "not set")


def _between(value: Any, other: Any) -> bool:
	low, high = [*_listed(other), None, None][:2]
	high = f"{high} 23:59:59.999999" if len(_text(value)) > 10 and len(_text(high)) == 10 else high
	return value not in (None, "") and not _less(value, low) and not _less(high, value)


def _less(value: Any, other: Any) -> bool:
	one, two = _comparable(value, other)
	return one < two


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
	"=": _equal,
	"!=": lambda value, other: not _equal(value, other),
	">": _ordered(lambda one, two: one > two),
	"<": _ordered(lambda one, two: one < two),
	">=": _ordered(lambda one, two: one >= two),
	"<=": _ordered(lambda one, two: one <= two),
	"in": lambda value, other: any(_equal(value, one) for one in _listed(other)),
	"not in": lambda value, other: not any(_equal(value, one) for one in _listed(other)),
	"like": _like,
	"not like": lambda value, other: not _like(value, other),
	"is": _is,
	"between": _between,
}
