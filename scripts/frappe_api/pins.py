"""The app's ranges of dependencies, held against what a version of Frappe pins in the same environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*((?:[<>=~!]=?[^;,@]+,?)*)")
_QUOTED = re.compile(r"^\s*\"([^\"]+)\"", re.M)
_VERSION = re.compile(r"(==|~=|>=)\s*([0-9.]+)")


def refused(ours: Path, theirs: Path) -> Iterator[str]:
	"""Say which of Frappe's pins the app's ranges leave out, by the least version that Frappe takes.

	Both are `pyproject.toml` files; one that is not there, as in a part of a checkout, pins nothing.
	"""
	pins = _ranges(theirs)
	for name, mine in _ranges(ours).items():
		least = next((v for op, v in _VERSION.findall(pins.get(name, ""))), None)
		if least and not _admits(mine, least):
			yield f"{name} {mine} leaves out {pins[name]}"


def _ranges(file: Path) -> dict[str, str]:
	"""Return the ranges of the dependencies of a project by their normalized names."""
	if not file.exists():
		return {}
	listed = re.search(r"^dependencies = \[(.*?)^\]", file.read_text(), re.S | re.M)
	found = (_REQUIREMENT.match(text) for text in _QUOTED.findall(listed.group(1) if listed else ""))
	return {re.sub(r"[-_.]+", "-", m.group(1)).lower(): m.group(2).strip() for m in found if m}


def _admits(ranges: str, version: str) -> bool:
	return all(
		_holds(*re.match(r"\s*([<>=~!]+)\s*([0-9.]+)", part).groups(), version)
		for part in ranges.split(",")
		if part
	)


def _holds(operator: str, bound: str, version: str) -> bool:
	left, right = _parts(version), _parts(bound)
	if operator == "~=":
		return left >= right and left[: bound.count(".")] == right[: bound.count(".")]
	return {
		"==": left == right,
		"!=": left != right,
		">=": left >= right,
		"<=": left <= right,
		">": left > right,
		"<": left < right,
	}[operator]


def _parts(version: str) -> list[int]:
	parts = [int(part) for part in version.split(".") if part]
	return parts + [0] * (4 - len(parts))
