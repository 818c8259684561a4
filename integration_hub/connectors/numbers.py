"""Numbers as JSON, SQL and spreadsheets write them; what could be read in two ways is none."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,4})?\s*", re.IGNORECASE | re.ASCII)
_LONGEST_NUMBER = 400  # characters: the largest double has 309 digits


def is_number(value: Any) -> bool:
	"""Tell whether a value is a number, or text of one as JSON, SQL and spreadsheets write it: `-12.50`, `1e3`.

	Not: thousands separators, a decimal comma, underscores, NaN, Infinity, other digits than ASCII's, true and false.
	"""
	if isinstance(value, str):
		return len(value) <= _LONGEST_NUMBER and bool(_NUMBER.fullmatch(value))
	if isinstance(value, float):
		return math.isfinite(value)
	return isinstance(value, int) and not isinstance(value, bool)


def integer(value: Any) -> int:
	"""Return a whole number; of text, also one written with a fraction of nothing, as `5.0000`. Raises ValueError."""
	_check_number(value)
	if isinstance(value, int):
		return value
	exact = Decimal(value.strip() if isinstance(value, str) else repr(value))
	if exact.adjusted() > _LONGEST_NUMBER or exact != exact.to_integral_value():
		raise ValueError(f"{shown(value)} is not a whole number")
	return int(exact)


def number(value: Any) -> float:
	"""Return a finite number. Raises ValueError."""
	_check_number(value)
	try:
		found = float(value)
	except OverflowError:
		found = math.inf
	if not math.isfinite(found):
		raise ValueError(f"{shown(value)} is too large for a number with a fraction")
	return found


def _check_number(value: Any) -> None:
	if isinstance(value, float) and not math.isfinite(value):
		raise ValueError(f"{value!r} is not a finite number")
	if not is_number(value):
		raise ValueError(f"{shown(value)} is not a number")


def shown(value: Any) -> str:
	"""Return a value as an error shows it: of a thousand digits the first say enough."""
	try:
		text = repr(value)
	except ValueError:  # more digits than Python writes
		text = "an integer of thousands of digits"
	return text if len(text) <= 60 else f"{text[:57]}…"
