"""Each text for people is in the template that translators work from."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

from integration_hub.sentence import Sentence, _

APP = Path(__file__).parent.parent / "integration_hub"
ROW = re.compile(r'^msgid ((?:"(?:\\.|[^"\\])*"\n?)+)', re.MULTILINE)


def listed() -> set[str]:
	text = (APP / "locale/main.pot").read_text()
	return {"".join(ast.literal_eval(line) for line in found.splitlines()) for found in ROW.findall(text)}


def marked() -> Iterator[tuple[str, str]]:
	"""Return file and text of each call of `_`."""
	for path in APP.rglob("*.py"):
		if "tests" in path.parts:
			continue
		for node in ast.walk(ast.parse(path.read_text())):
			called = node.func if isinstance(node, ast.Call) and node.args else None
			if isinstance(called, ast.Name) and called.id == "_" and isinstance(node.args[0], ast.Constant):
				yield path.name, node.args[0].value


def test_each_marked_text_is_listed():
	known = listed()
	assert not [(file, text) for file, text in marked() if text not in known]


def test_each_text_of_the_browser_is_listed():
	known, missing = listed(), []
	for path in APP.rglob("*.js"):
		if "dist" in path.parts:
			continue
		for text in re.findall(r'__\(\s*"((?:\\.|[^"\\])*)"', path.read_text()):
			if text.replace('\\"', '"') not in known:
				missing.append((path.name, text))
	assert not missing


def test_a_sentence_is_copied_with_what_it_was_made_of():
	sentence = _("{0!r} is not one of {1}", "{x}", "a, b")
	assert sentence == "'{x}' is not one of a, b"
	for again in (copy.deepcopy(sentence), pickle.loads(pickle.dumps(sentence))):
		assert isinstance(again, Sentence)
		assert (again, again.template, again.values) == (sentence, sentence.template, sentence.values)
