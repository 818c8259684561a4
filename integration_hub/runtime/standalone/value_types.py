"""The values of hub.toml in the types of their settings: TOML has more kinds of values than a form has.

What a list, a date or a number stands for where a text is asked for is nobody's guess: it is refused where it is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from integration_hub.stores.runtime import HubError

_LARGEST = 2**63  # what a column of whole numbers holds is below
_LONGEST_NAME = 140  # as Frappe has it


def typed(values: Mapping[str, Any], kinds: Mapping[str, str], name: str) -> dict[str, Any]:
	"""Return the values whose fieldtypes are known, in the types of those; raises HubError naming the field."""
	found = {}
	for field, value in values.items():
		if field in kinds:
			found[field] = _typed(value, kinds[field], name, field)
	return found


def check_text(value: Any, name: str, field: str) -> None:
	"""Raise HubError unless a value is text that says something."""
	if not isinstance(value, str) or not value.strip() or "\x00" in value:
		raise HubError("must be text, and not empty", name=name, field=field)


def check_name(name: str, place: str) -> None:
	"""Raise HubError unless a name can stand in a URL, a list and a column of names."""
	if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
		problem = f"a name has 1 to {_LONGEST_NAME} printable characters: {name[:_LONGEST_NAME]!r}"
		raise HubError(problem, name=place)


def _typed(value: Any, kind: str, name: str, field: str) -> Any:
	if value == "":
		return value  # the default
	if kind == "Check":
		if not _is_check(value):
			raise HubError("must be true or false", name=name, field=field)
		return int(value)
	if kind in ("Int", "Float"):
		if not _is_number(value, kind):
			whole = "a whole number" if kind == "Int" else "a number"
			raise HubError(f"must be {whole}", name=name, field=field)
		return value
	text = _text(value, name, field)
	if "\x00" in text and kind != "Password":  # a reference leads somewhere, or says itself that it does not
		raise HubError("holds a character that no text has", name=name, field=field)
	return text


def _is_check(value: Any) -> bool:
	return isinstance(value, bool | int | str) and value in (0, 1, "0", "1")


def _is_number(value: Any, kind: str) -> bool:
	"""Tell whether a value is a number, or text that is one: its range is another question."""
	if isinstance(value, bool) or not isinstance(value, int | float | str):
		return False
	try:
		number = float(value)
	except (ValueError, OverflowError):
		return False
	return math.isfinite(number) and (kind != "Int" or (number.is_integer() and abs(number) < _LARGEST))


def _text(value: Any, name: str, field: str) -> str:
	"""Return text as it is, and numbers and checks as a form would have them: `disable_value = 1` is one."""
	if isinstance(value, bool):
		return str(int(value))
	if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
		return str(value)
	if not isinstance(value, str):
		raise HubError("must be text", name=name, field=field)
	return value
