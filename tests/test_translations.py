"""Each text for people is in the template that translators work from."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration_hub.lazy_messages import LazyMessage, _
from scripts.translations import entries, languages, sheet

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
		assert isinstance(again, LazyMessage)
		assert (again, again.template, again.values) == (sentence, sentence.template, sentence.values)


_PLACES = re.compile(r"\{[^{}]*\}|%\([a-z_]+\)s|`[^`]+`|\\n")
WHOLE = [name for name in languages() if name != "en"]  # English has the names of a few things alone


def test_frappe_reads_what_the_po_files_say():
	for language, path in languages().items():
		written = (APP / f"translations/{language}.csv").read_text()
		assert written == sheet(path), "run: make translations"


@pytest.mark.parametrize("language", WHOLE)
def test_each_text_is_translated(language):
	wanted = {(context, text) for context, text, *_ in entries(APP / "locale/main.pot")}
	found = {(context, text): said for context, text, said, _ in entries(languages()[language])}
	assert not [key for key in wanted if not found.get(key, "").strip()]
	assert not [text for _, text, _, fuzzy in entries(languages()[language]) if fuzzy]


@pytest.mark.parametrize("language", list(languages()))
def test_what_is_put_into_a_text_is_put_into_its_translation(language):
	wrong = [
		(text, said)
		for _, text, said, _ in entries(languages()[language])
		if said and sorted(_PLACES.findall(text)) != sorted(_PLACES.findall(said))
	]
	assert not wrong


@pytest.mark.parametrize("language", list(languages()))
def test_a_translation_brings_no_markup_of_its_own(language):
	tags = re.compile(r"</?[a-z][^>]*>")
	for _context, text, said, _fuzzy in entries(languages()[language]):
		assert not said or sorted(tags.findall(said)) == sorted(tags.findall(text)), text


def test_the_words_of_notifications_are_among_the_texts():
	"""They stand in Jinja within JSON, where Frappe's tools find none: alerts.py names them for these."""
	folder = APP / "integration_hub/notification"
	written = {
		word for file in folder.glob("*/*.json") for word in re.findall(r'_\(\\"(.+?)\\"\)', file.read_text())
	}
	assert written and written <= listed()
