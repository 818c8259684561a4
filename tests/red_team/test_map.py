"""The map of attacks in `__init__.py` leads to tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import tests.red_team


def test_each_attack_that_is_named_is_a_test():
	named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", tests.red_team.__doc__)
	assert len(named) > 30
	root = Path(tests.red_team.__file__).parents[2]
	for file, name in named:
		functions = {node.name for node in ast.parse((root / file).read_text()).body if hasattr(node, "name")}
		assert name in functions, f"{file}::{name}"
