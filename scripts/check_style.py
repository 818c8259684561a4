"""Check the figures of the app's style: docstrings, how they begin, the length of functions, and typed returns.

No linter takes a median. Tests are left out. Exits 1 and says what is wrong, with the places to look at.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

APP = Path(__file__).parent.parent / "integration_hub"

DOCUMENTED = 0.95  # of public classes, methods and functions
TYPED = 0.98  # of functions say what they return
MOST_LINES = 60  # of a function, with its docstring
MEDIAN = 5  # lines of code of a function: without docstring, comments and blank lines
P90 = 16

# A docstring begins with a verb or a noun of the field: not with a question, a preposition, a participle that says when
# the function is called, or a parameter.
_BAD_START = re.compile(
	r"(What|Where|Whether|Who|Whose|Whoever|How|Why|Which|When|Only|Not|Like|For|From|Within|Across|There|Nobody|Nothing"
	r"|Something|Those|Its|A person(?!')|We|Is|Are|Does|Do they|Has|Was|Were|May|Can|Called|Said|Asked|Told|Raised)\b"
	r"|[a-z_]+:"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.Module | ast.ClassDef | Function


@dataclass(frozen=True)
class Defined:
	"""A module, class or function. `public`: seen from outside, so neither it nor its class is private or local."""

	file: str
	node: Definition
	public: bool
	source: tuple[str, ...]

	def __str__(self) -> str:
		return f"{self.file}:{getattr(self.node, 'lineno', 1)} {getattr(self.node, 'name', '')}".rstrip()

	@cached_property
	def is_function(self) -> bool:
		"""Tell whether it is a function or method."""
		return isinstance(self.node, Function)

	@cached_property
	def docstring(self) -> str:
		"""Return the docstring, "" if there is none."""
		return ast.get_docstring(self.node) or ""

	@cached_property
	def length(self) -> int:
		"""Return the lines of a function, from `def` to its end."""
		return self.node.end_lineno - self.node.lineno + 1

	@cached_property
	def code_lines(self) -> int:
		"""Return the lines of a function without docstring, comments and blank lines."""
		own = set(range(self.node.lineno, self.node.end_lineno + 1))
		if self.docstring:
			own -= set(range(self.node.body[0].lineno, self.node.body[0].end_lineno + 1))
		lines = (self.source[number - 1].strip() for number in own)
		return sum(bool(line) and not line.startswith("#") for line in lines)

	@cached_property
	def is_typed(self) -> bool:
		"""Tell whether a function says what it returns; `__init__` returns nothing."""
		return self.node.returns is not None or self.node.name == "__init__"


def definitions(folder: Path) -> Iterator[Defined]:
	"""Yield everything that the modules of a folder define, tests left out."""
	for path in sorted(folder.rglob("*.py")):
		file = path.relative_to(folder.parent)
		if "tests" not in file.parts:
			text = path.read_text()
			module = Defined(str(file), ast.parse(text), False, tuple(text.splitlines()))
			yield module
			yield from _within(module, True)


def _within(outer: Defined, is_open: bool, node: ast.AST | None = None) -> Iterator[Defined]:
	"""Yield the definitions within one. is_open: what is defined there can be seen from outside."""
	for child in ast.iter_child_nodes(node or outer.node):
		if isinstance(child, ast.ClassDef | Function):
			found = Defined(outer.file, child, is_open and not child.name.startswith("_"), outer.source)
			yield found
			yield from _within(found, found.public and not found.is_function)
		else:
			yield from _within(outer, is_open, child)


def problems(found: Iterable[Defined]) -> Iterator[str]:
	"""Yield a sentence for each figure that does not hold, and for each definition that breaks a rule by itself."""
	found = list(found)
	functions = [one for one in found if one.is_function]
	for one in found:
		if _BAD_START.match(one.docstring):
			yield f"{one}: the docstring does not begin with a verb or a noun: {one.docstring.splitlines()[0]}"
	for one in functions:
		if one.length > MOST_LINES:
			yield f"{one} has {one.length} lines, more than {MOST_LINES}"
	public = [one for one in found if one.public]
	yield from _share("have a docstring", public, [one for one in public if not one.docstring], DOCUMENTED)
	yield from _share(
		"say what they return", functions, [one for one in functions if not one.is_typed], TYPED
	)
	yield from _lengths(functions)


def _share(text: str, among: list[Defined], missing: list[Defined], least: float) -> Iterator[str]:
	share = 1 - len(missing) / len(among) if among else 1
	if share < least:
		yield "\n  ".join([f"{share:.1%} {text}, less than {least:.0%}:", *map(str, missing)])


def _lengths(functions: list[Defined]) -> Iterator[str]:
	lengths = sorted(one.code_lines for one in functions) or [0]
	median, p90 = statistics.median(lengths), lengths[int(0.9 * len(lengths))]
	if median > MEDIAN or p90 > P90:
		longest = sorted(functions, key=lambda one: -one.code_lines)[:20]
		yield "\n  ".join(
			[
				f"functions have {median:g} lines of code at the median and {p90} at the 90th percentile, more than {MEDIAN}"
				f" or {P90}; the longest:",
				*(f"{one}: {one.code_lines}" for one in longest),
			]
		)


if __name__ == "__main__":
	wrong = list(problems(definitions(APP)))
	print("\n".join(wrong) or "style: ok")
	sys.exit(bool(wrong))
