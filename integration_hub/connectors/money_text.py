"""Amounts of money as people write them: `1.234,56 €`, `CHF 1'234.50`, `(12.00)`, `USD -5`."""

from __future__ import annotations

import re
import unicodedata

from integration_hub.connectors.numbers import shown

_LONGEST = 100
_POINTS = (".", ",")
# Words of currencies that are no code of three letters. No others: `ab 12` and `12 k` are no amounts of 12.
_WORDS = r"kr\.?|Rs\.?|Fr\.?|SFr\.?|Bs\.?|Kč|zł|Ft|lei|din\.?|лв\.?|руб\.?|грн\.?|Euro|euro"
_CURRENCY = rf"(?:(?!MIO|MRD|TSD)[A-Z]{{3}}|{_WORDS})"
_BEFORE = rf"(?:{_CURRENCY}|(?:A|AU|C|CA|HK|NZ|R|RM|S|US|NT)(?=\s?\d))"
_MINUS = "[-\u2212]"
_SHAPE = re.compile(
	rf"(?P<open>\()?(?P<first>{_MINUS})?\s?(?:{_BEFORE})?\s?(?P<second>{_MINUS})?\s?"
	rf"(?P<digits>[0-9](?:[0-9.,'\u2019 \u00a0\u2009\u202f]*[0-9])?)"
	rf"(?P<third>{_MINUS})?\s?{_CURRENCY}?(?P<close>\))?"
)
_GROUPS = re.compile(
	r"[0-9]+|[0-9]{1,3}(?P<mark>[.,'\u2019 \u00a0\u2009\u202f])(?:[0-9]{2,3}(?P=mark))*[0-9]{3}"
)


def amount(text: str, point: str) -> str:
	"""Return an amount as text of a number: without its currency and the marks between groups of digits.

	point: the decimal point of the source, a dot or a comma; the other one separates groups. Raises ValueError.
	"""
	if point not in _POINTS:
		raise ValueError(f"money(): {shown(point)} is no decimal point: . or ,")
	found = _SHAPE.fullmatch(_without_symbols(text)) if len(text) <= _LONGEST else None
	whole, comma, fraction = found["digits"].partition(point) if found else ("", "", "")
	groups = _GROUPS.fullmatch(whole)
	if not found or not groups or groups["mark"] == point or bool(comma) != fraction.isdecimal():
		raise ValueError(f"money(): {shown(text)} is not an amount with the decimal point {point!r}")
	digits = "".join(filter(str.isdecimal, whole))
	return ("-" if _is_negative(found, text) else "") + digits + (f".{fraction}" if fraction else "")


def _without_symbols(text: str) -> str:
	return "".join(each for each in text if unicodedata.category(each) != "Sc").strip()


def _is_negative(found: re.Match[str], text: str) -> bool:
	"""Tell whether an amount has a minus, or stands in brackets. Raises ValueError where it has several of them."""
	signs = sum(bool(found[name]) for name in ("first", "second", "third", "open"))
	if signs > 1 or bool(found["open"]) != bool(found["close"]):
		raise ValueError(f"money(): {shown(text)} has signs that do not fit together")
	return bool(signs)
