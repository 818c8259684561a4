"""The translations of integration_hub/locale (.po, the one source) as the CSV files that Frappe v15 and v16 read.

`python -m scripts.translations` writes them; tests/test_translations.py holds them to their source.
"""

from __future__ import annotations

import ast
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

APP = Path(__file__).parent.parent / "integration_hub"
_STRING = r'((?:"(?:\\.|[^"\\])*"\n?)+)'
_ENTRY = re.compile(
	rf"^(?P<comments>(?:#.*\n)*)(?:msgctxt {_STRING})?msgid {_STRING}msgstr {_STRING}", re.MULTILINE
)


def entries(path: Path) -> Iterator[tuple[str, str, str, bool]]:
	"""Return the messages of a .po or .pot file: context, text, translation, whether it is fuzzy; not its head."""
	for found in _ENTRY.finditer(path.read_text()):
		context, text, translation = (_text(found[number]) for number in (2, 3, 4))
		if text:
			yield context, text, translation, "fuzzy" in found["comments"]


def languages() -> dict[str, Path]:
	"""Return the .po files by their languages."""
	return {path.stem: path for path in sorted((APP / "locale").glob("*.po"))}


def sheet(path: Path) -> str:
	"""Return a .po file as CSV: text, translation, context."""
	written = io.StringIO()
	rows = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL)
	for context, text, translation, _ in entries(path):
		if translation:
			rows.writerow([text, translation, context] if context else [text, translation])
	return written.getvalue()


def _text(quoted: str | None) -> str:
	return "".join(ast.literal_eval(line) for line in (quoted or "").splitlines())


def main() -> None:
	folder = APP / "translations"
	folder.mkdir(exist_ok=True)
	for language, path in languages().items():
		(folder / f"{language}.csv").write_text(sheet(path))


if __name__ == "__main__":
	main()
