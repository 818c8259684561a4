"""Old terms do not come back: code, comments, documents and what people see use the field's words (docs/developing.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
KINDS = (".py", ".js", ".md", ".toml", ".json", ".html")
# Documents of what was, code of the first release, and this list.
LEFT_OUT = re.compile(
	r"integration_hub/(locale|translations)/|scripts/upgrade/(use|rows)\.py|tests/test_words\.py|scripts/check_style\.py|docs/images/"
)


class Term(NamedTuple):
	"""A term that is no longer used. stays: where the line means something else, or what is stored."""

	old: str
	now: str
	stays: str = r"(?!)"


TERMS = [
	Term(
		r"homes?|home_\w+|_home|\w+Home",
		"runtime",
		r"Path\.home\(|app_home|home_page|[\"'/]home\b|getpwnam|home / |home\.glob|HOME|^docs/developing\.md:\| |home ?page|get_home",
	),
	Term(
		r"doors?|doorways?|\w+_door|door_\w+|\w*Door",
		"endpoint, receiver or entry point",
		r"`door`|\"door\"|\.door\b|door=|\bdoor: Literal|^docs/(developing|reference|security)\.md:|event_id door status"
		r"|webhook_door|\bDoor\b|door_of|^integration_hub/integration_hub/run_as\.py|table\(\"\| door|integration_hub_webhooks\.json",
	),
	Term(r"seats?|_seats?", "slot", r"^docs/developing\.md:\| seat"),
	Term(r"look_again|may_remove|second look", "second pass, deletion allowed", r"^docs/developing\.md:"),
	Term(r"walks?|walked", "fetch, pages", r"ast\.walk|os\.walk|\"walked\"|^docs/developing\.md:"),
	Term(r"arena|Arena", "environment (of chaos)"),
	Term(r"shall", "must, should, has to"),
	Term(r"anew", "again"),
	Term(r"[Ww]hoever|[Ww]homever", "the person, the caller, the process that"),
	Term(r"be it", "even"),
	Term(r"in hand", "in progress"),
	Term(r"told of|what is told", "reported, notified"),
]


def lines() -> Iterator[tuple[str, str]]:
	"""Yield each line of the repository as (place, text)."""
	listed = run(
		["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
	).stdout
	for name in listed.splitlines():
		path = ROOT / name
		if path.suffix in KINDS and path.is_file() and not LEFT_OUT.match(name):
			for number, line in enumerate(path.read_text().splitlines(), 1):
				yield f"{name}:{number}", line


@pytest.fixture(scope="module")
def text() -> list[tuple[str, str]]:
	found = list(lines())
	if not found:
		pytest.skip("not in a git checkout")
	return found


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.now)
def test_an_old_term_is_not_used(term, text):
	old, stays = re.compile(rf"(?<![\w-])(?:{term.old})(?![\w-])"), re.compile(term.stays)
	found = [
		f"{place}: {line.strip()[:120]}"
		for place, line in text
		if old.search(line) and not stays.search(f"{place.rpartition(':')[0]}:{line}")
	]
	assert not found, f"say {term.now}:\n" + "\n".join(found)
