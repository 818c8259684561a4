"""The figures of the app's style hold, and each rule of their check finds what breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.check_style import APP, definitions, problems

GOOD = '''"""A module."""


class Thing:
	"""A thing."""

	def __init__(self):
		self.name = ""

	def named(self) -> str:
		"""Return the name."""
		return self.name

	def _private(self) -> str:
		def local() -> str:
			return self.name

		return local()


class _Hidden:
	def method(self) -> None:
		pass
'''


MANY_SHORT = "".join(f"def _s{number}() -> None:\n\tpass\n" for number in range(30))


def found(tmp_path: Path, text: str) -> list[str]:
	folder = tmp_path / "app"
	folder.mkdir()
	(folder / "module.py").write_text(text)
	return list(problems(definitions(folder)))


def test_the_app_keeps_its_figures():
	assert list(problems(definitions(APP))) == []


def test_what_is_private_local_or_init_needs_no_docstring(tmp_path: Path):
	assert found(tmp_path, GOOD) == []


def test_tests_are_left_out(tmp_path: Path):
	folder = tmp_path / "app" / "tests"
	folder.mkdir(parents=True)
	(folder / "test_x.py").write_text("def test_x():\n\tpass\n")
	assert list(problems(definitions(folder.parent))) == []


@pytest.mark.parametrize(
	"text",
	[
		"class Other:\n\tpass\n",
		"def other() -> None:\n\tpass\n",
		"async def other() -> None:\n\tpass\n",
		"if True:\n\tdef other() -> None:\n\t\tpass\n",
		'class Other:\n\t"""Another thing."""\n\n\tdef other(self) -> None:\n\t\tpass\n',
	],
)
def test_a_public_definition_needs_a_docstring(tmp_path: Path, text: str):
	(sentence,) = found(tmp_path, GOOD + text)
	assert "have a docstring" in sentence
	assert "other" in sentence.lower()


@pytest.mark.parametrize(
	"start",
	[
		"What it is.",
		"Where it is.",
		"Does it?",
		"Only for x.",
		"Called once.",
		"argument: a name.",
		"https://x.example",
	],
)
@pytest.mark.parametrize(
	"text",
	[
		'def _other() -> None:\n\t"""{}"""\n',
		'class _Other:\n\t"""{}"""\n',
		'class _Other:\n\tasync def _x(self) -> None:\n\t\t"""{}"""\n',
	],
)
def test_no_docstring_begins_with_a_question_or_a_parameter(tmp_path: Path, text: str, start: str):
	(sentence,) = found(tmp_path, GOOD + text.format(start))
	assert sentence.endswith(start)
	assert "app/module.py:" in sentence


def test_nor_does_that_of_a_module(tmp_path: Path):
	(sentence,) = found(tmp_path, GOOD.replace("A module.", "How it works."))
	assert sentence.startswith("app/module.py:1")


@pytest.mark.parametrize(
	"start", ["Return what it is.", "Whole pages.", "Doing it.", "A personal name.", "Issues."]
)
def test_a_word_that_only_begins_like_one_is_fine(tmp_path: Path, start: str):
	assert found(tmp_path, GOOD + f'def _other() -> None:\n\t"""{start}"""\n') == []


def test_a_function_may_have_60_lines(tmp_path: Path):
	assert found(tmp_path, MANY_SHORT + "def _other() -> None:\n" + "\tpass\n" * 59) == []


def test_and_no_more(tmp_path: Path):
	(sentence,) = found(tmp_path, MANY_SHORT + "def _other() -> None:\n\t# why\n" + "\tpass\n" * 59)
	assert "_other has 61 lines" in sentence


def test_returns_are_typed(tmp_path: Path):
	(sentence,) = found(tmp_path, GOOD + "def _other():\n\tpass\n")
	assert "say what they return" in sentence
	assert "_other" in sentence


def test_lines_of_code_count_at_the_median(tmp_path: Path):
	long = "".join(f"def _f{number}() -> None:\n" + "\tpass\n" * 5 for number in range(9))
	(sentence,) = found(tmp_path, long)
	assert "6 lines of code at the median" in sentence


def test_and_at_the_90th_percentile(tmp_path: Path):
	short = "".join(f"def _s{number}() -> None:\n\tpass\n" for number in range(8))
	long = "".join(f"def _f{number}() -> None:\n" + "\tpass\n" * 16 for number in range(2))
	(sentence,) = found(tmp_path, short + long)
	assert "17 at the 90th percentile" in sentence


def test_docstrings_comments_and_blank_lines_are_no_code(tmp_path: Path):
	body = '\t"""Do it.\n\n' + "\ttext\n" * 9 + '\t"""\n' + "\t# why\n\n" * 9 + "\tpass\n" * 4
	assert found(tmp_path, "".join(f"def f{number}() -> None:\n{body}\n\n" for number in range(9))) == []
