"""Functions that expressions have besides JMESPath's own: text, regular expressions, exact arithmetic, money, tables.

Each costs no more than a multiple of what it is given (see connectors.bounded_jmespath): patterns are those of RE2,
whose time is linear, and numbers are decimals of a bounded precision. Of a text that is missing, nothing is made;
of a number that is missing, there is an error: a sum that leaves out a part is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException
from functools import lru_cache, reduce
from typing import Any

from jmespath.functions import Functions, signature

from integration_hub.connectors.json_text import ExactFloat, exact_float, write_json
from integration_hub.connectors.money_text import amount
from integration_hub.connectors.numbers import is_number, shown

ANY: dict[str, Any] = {"types": []}
MANY: dict[str, Any] = {"types": [], "variadic": True}
LIST: dict[str, Any] = {"types": ["array"]}

_LONGEST_PATTERN = 500
_PATTERN_MEMORY = 1 << 20
_DIGITS = 60  # of a decimal, while it is computed
_QUOTIENT_DIGITS = 17  # of one that may have no end: as many as a double has
_MOST_DIGITS = 20  # behind the point that `round` leaves
_EXACT = Context(prec=_DIGITS, Emax=400, Emin=-400, rounding=ROUND_HALF_UP)
_INEXACT = Context(prec=_QUOTIENT_DIGITS, Emax=400, Emin=-400, rounding=ROUND_HALF_UP)


class PathFunctions(Functions):
	"""JMESPath's functions, and those of this app."""

	def call_function(self, function_name: str, resolved_args: Sequence[Any]) -> Any:
		"""Call a function; raises ValueError for a number beyond what decimals of this size hold."""
		try:
			return super().call_function(function_name, resolved_args)
		except DecimalException:
			raise ValueError(f"{function_name}(): the number is too large") from None

	def _get_allowed_pytypes(self, types: Sequence[str]) -> tuple[list[Any], list[Any]]:
		allowed, inner = super()._get_allowed_pytypes(types)
		exact = ExactFloat.__name__  # a number, which JMESPath does not know
		return (
			[*allowed, exact] if "float" in allowed else allowed,
			[(*kinds, exact) if "float" in kinds else kinds for kinds in inner],
		)

	@signature(ANY)
	def _func_lower(self, value: Any) -> str | None:
		return _of_text("lower", str.lower, value)

	@signature(ANY)
	def _func_upper(self, value: Any) -> str | None:
		return _of_text("upper", str.upper, value)

	@signature(ANY)
	def _func_trim(self, value: Any) -> str | None:
		return _of_text("trim", str.strip, value)

	@signature(ANY, {"types": ["string"]}, {"types": ["string"]})
	def _func_replace(self, value: Any, old: str, new: str) -> str | None:
		if not old:
			raise ValueError("replace(): the text to replace is empty")
		return _of_text("replace", lambda text: text.replace(old, new), value)

	@signature(ANY, {"types": ["string"]})
	def _func_split(self, value: Any, separator: str) -> list[str] | None:
		if not separator:
			raise ValueError("split(): the separator is empty")
		return _of_text("split", lambda text: text.split(separator), value)

	@signature(ANY, MANY)
	def _func_concat(self, *values: Any) -> str | None:
		texts = [_text("concat", value) for value in values]
		return None if None in texts else "".join(texts)

	@signature(ANY, {"types": ["string"]})
	def _func_extract(self, value: Any, expression: str) -> str | None:
		found = _of_text("extract", pattern(expression).search, value)
		return (found[1] if found.groups() else found[0]) if found else None

	@signature(ANY, {"types": ["string"]})
	def _func_matches(self, value: Any, expression: str) -> bool:
		return bool(_of_text("matches", pattern(expression).search, value))

	@signature(ANY, MANY)
	def _func_add(self, *values: Any) -> float:
		return _number(reduce(_EXACT.add, _decimals("add", values)))

	@signature(ANY, ANY)
	def _func_subtract(self, *values: Any) -> float:
		return _number(_EXACT.subtract(*_decimals("subtract", values)))

	@signature(ANY, MANY)
	def _func_multiply(self, *values: Any) -> float:
		return _number(reduce(_EXACT.multiply, _decimals("multiply", values)))

	@signature(ANY, ANY)
	def _func_divide(self, *values: Any) -> float:
		dividend, divisor = _decimals("divide", values)
		if not divisor:
			raise ValueError("divide(): by zero")
		return _number(_INEXACT.divide(dividend, divisor))

	@signature(LIST)
	def _func_total(self, values: list) -> float:
		return _number(reduce(_EXACT.add, _decimals("total", values), Decimal(0)))

	@signature(ANY, ANY)
	def _func_round(self, value: Any, digits: Any) -> float:
		if digits.__class__ is not int or not 0 <= digits <= _MOST_DIGITS:
			raise ValueError(f"round(): {shown(digits)} is no number of digits from 0 to {_MOST_DIGITS}")
		return _number(_EXACT.quantize(*_decimals("round", [value]), Decimal(1).scaleb(-digits)))

	@signature(ANY, {"types": ["string"]})
	def _func_money(self, value: Any, point: str) -> float | None:
		if value is None or value == "":
			return None
		return _number(Decimal(amount(_text("money", value) or "", point)))

	@signature(ANY, {"types": ["object"]})
	def _func_lookup(self, value: Any, table: Mapping[str, Any]) -> Any:
		if value is None or value == "":
			return None
		key = write_json(value) if isinstance(value, bool) else _text("lookup", value)
		if key not in table and "*" not in table:
			raise ValueError(f"lookup(): {shown(value)} is not in the table")
		return table[key] if key in table else table["*"]

	@signature(ANY, ANY, ANY)
	def _func_if(self, condition: Any, then: Any, otherwise: Any) -> Any:
		return otherwise if condition in ("", [], {}, None) or condition is False else then


def costs(name: str, arguments: Sequence[Any]) -> int:
	"""Return how many characters a function makes, where that is more than it is given."""
	if name == "join" and len(arguments) == 2:
		return _joined(*arguments)
	if name == "replace" and all(isinstance(argument, str) for argument in arguments):
		text, old, new = arguments
		return text.count(old) * len(new) if old else 0
	return 0


def literal_problem(name: str, place: int, value: Any) -> str:
	"""Return why a function cannot take a literal at a place among its arguments, "" if it can."""
	try:
		if (name, place) in _PATTERNS:
			pattern(value)
		elif (name, place) == ("money", 1) and value not in (".", ","):
			return f"{shown(value)} is no decimal point: . or ,"
	except ValueError as error:
		return str(error)
	return ""


_PATTERNS = frozenset({("extract", 1), ("matches", 1)})
# Arguments that stand in the settings: a pattern of the source's would be for the source to make costly.
LITERALS = _PATTERNS | {("money", 1)}


@lru_cache(500)
def pattern(expression: Any) -> Any:
	"""Return a compiled regular expression of RE2's kind. Raises ValueError."""
	import re2  # when it is needed: most settings have no pattern

	if not isinstance(expression, str) or len(expression) > _LONGEST_PATTERN:
		raise ValueError(f"a pattern is text of at most {_LONGEST_PATTERN} characters")
	options = re2.Options()
	options.log_errors, options.max_mem = False, _PATTERN_MEMORY
	try:
		return re2.compile(expression, options)
	except re2.error as error:
		said = error.args[0]
		said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
		raise ValueError(f"{expression!r} is not a regular expression ({said})") from None


def _joined(separator: Any, parts: Any) -> int:
	if not (isinstance(separator, str) and isinstance(parts, list)):
		return 0  # which it will refuse
	return len(separator) * len(parts) + sum(len(part) for part in parts if isinstance(part, str))


def _text(name: str, value: Any) -> str | None:
	"""Return text, and a number as JSON spells it; None for None. Raises ValueError."""
	if value is None or isinstance(value, str):
		return value
	if isinstance(value, bool) or not is_number(value):
		raise ValueError(f"{name}(): {shown(value)} is not text")
	return str(int(value)) if isinstance(value, float) and value.is_integer() else write_json(value)


def _of_text(name: str, work: Callable[[str], Any], value: Any) -> Any:
	text = _text(name, value)
	return None if text is None else work(text)


def _decimals(name: str, values: Sequence[Any]) -> list[Decimal]:
	"""Return numbers, and text of numbers, as decimals. Raises ValueError."""
	for value in values:
		if not is_number(value):
			raise ValueError(f"{name}(): {shown(value)} is not a number")
	return [Decimal(value.strip() if isinstance(value, str) else str(value)) for value in values]


def _number(value: Decimal) -> float:
	"""Return a decimal as a number of JSON's that keeps its digits."""
	if value == value.to_integral_value() and value.adjusted() < _DIGITS:
		return int(value)
	near = float(value)
	return near if Decimal(repr(near)) == value else exact_float(format(_EXACT.plus(value).normalize(), "f"))
