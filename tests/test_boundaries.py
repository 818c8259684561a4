"""Broad handlers stand at process boundaries only: a job, a request, a command, other apps' code, one record of many."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

APP = Path(__file__).resolve().parent.parent / "integration_hub"
MOST = 12


def broad() -> Iterator[tuple[str, str]]:
	"""Yield the place and the line of each handler of any exception."""
	for path in sorted(APP.rglob("*.py")):
		if "tests" in path.relative_to(APP).parts:
			continue
		text = path.read_text()
		lines = text.splitlines()
		for node in ast.walk(ast.parse(text)):
			if isinstance(node, ast.ExceptHandler) and is_broad(node.type):
				end = node.body[0].lineno - 1
				yield f"{path.relative_to(APP)}:{node.lineno}", " ".join(lines[node.lineno - 1 : end])


def is_broad(kind: ast.expr | None) -> bool:
	"""Tell whether a handler catches everything; one of BaseException re-raises, and so cleans up only."""
	names = kind.elts if isinstance(kind, ast.Tuple) else [kind]
	return any(name is None or (isinstance(name, ast.Name) and name.id == "Exception") for name in names)


def test_each_broad_handler_names_its_boundary():
	assert [place for place, line in broad() if "boundary" not in line.partition("#")[2]] == []


def test_there_are_few_broad_handlers():
	places = [place for place, _ in broad()]
	assert len(places) <= MOST, places
