"""Airbyte's public low-code manifests: how many convert whole, in part, not; and what is missing most.

python -m benchmarks.coverage [--write] [MANIFESTS]

MANIFESTS: a folder of YAML files, or an archive of one; without it the variable AIRBYTE_MANIFESTS, else
shared/airbyte-manifests.tar.xz beside the repository, or above it. --write keeps the figures in docs/coverage.md.
A manifest counts as whole only if each alternative that its `spec` offers converts without a complaint.
"""

from __future__ import annotations

import os
import re
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import QUICK, Figure, say
from integration_hub.importing.documents import MOST_CHARACTERS, ImportRefused
from integration_hub.importing.sample_answers import sampled

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "coverage.md"
MARKS = ("<!-- coverage: python -m benchmarks.coverage --write -->", "<!-- end -->")
CODE = "carries code of its own"
_ARCHIVE = "shared/airbyte-manifests.tar.xz"
_QUICK = 5


@dataclass
class Coverage:
	"""Counts of manifests. missing: reason → manifests that it keeps from being whole."""

	whole: int = 0
	partly: int = 0
	not_at_all: int = 0
	with_code: int = 0
	streams: int = 0
	whole_streams: int = 0
	missing: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

	@property
	def all(self) -> int:
		return self.whole + self.partly + self.not_at_all


def manifests() -> Iterator[tuple[str, str]]:
	"""Return name and text of each manifest; none where there are none."""
	given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
	named = [*given, os.environ.get("AIRBYTE_MANIFESTS", "")]
	beside = [str(above / _ARCHIVE) for above in ROOT.parents]
	place = next((Path(one) for one in [*filter(None, named), *beside] if Path(one).exists()), None)
	if place and place.is_dir():
		yield from ((path.stem, path.read_text()) for path in sorted(place.rglob("*.yaml")))
	elif place:
		with tarfile.open(place) as archive:
			members = sorted((one for one in archive if one.isfile()), key=lambda one: one.name)
			for one in members:
				if one.name.endswith(".yaml") and one.size < MOST_CHARACTERS:
					yield Path(one.name).stem, archive.extractfile(one).read().decode()


def measured() -> Coverage:
	"""Convert all manifests, and count."""
	found = Coverage()
	for number, (name, text) in enumerate(manifests()):
		if not QUICK or number < _QUICK:
			_count(found, name.removeprefix("source-"), text)
	return found


def _count(found: Coverage, name: str, text: str) -> None:
	try:
		proposal = sampled(text, name)
	except ImportRefused as error:
		found.not_at_all += 1
		found.missing[f"refused: {error}"].add(name)
		return
	reasons = {_short(one.reason) for one in proposal.complaints}
	for reason in reasons:
		found.missing[reason].add(name)
	found.streams += len(proposal.streams)
	found.with_code += CODE in reasons
	found.whole += not reasons
	found.partly += bool(reasons and proposal.streams)
	found.not_at_all += not proposal.streams


def _short(reason: str) -> str:
	"""Return the kind of a complaint, without what it names."""
	if CODE in reason:
		return CODE
	for pattern, kind in _KINDS:
		if re.search(pattern, reason):
			return kind
	return reason[:90]


_KINDS = (
	(
		r"of the slice is not known|of the state is not known",
		"a value of the slice or the state that is not known",
	),
	(r"within reach of a record", "a value of the slice as a field of the record"),
	(r"has no equal in JMESPath", "a function or operation over records that JMESPath does not have"),
	(r"has no equal in a request|known only while", "an expression in a request"),
	(r"is not a time|isoformat", "a time that depends on code"),
	(r"^has no equal$", "a field without an equal, or that nothing reads"),
	(r"\w+ has no equal$", "a component or field without an equal"),
	(r"a secret stands in it|secret in a body", "a secret in an address or a body"),
)


def page(found: Coverage) -> str:
	"""Return the table of the page."""
	lines = [
		"| manifests | number |",
		"|---|---|",
		f"| all | {found.all} |",
		f"| **convert whole**, in each of their alternatives | **{found.whole}** |",
		f"| convert in part: each gap is listed | {found.partly} |",
		f"| do not convert | {found.not_at_all} |",
		f"| of the last two: carry Python of their own | {found.with_code} |",
		f"| streams that are made | {found.streams:,} |",
		"",
		"| what is missing most | manifests | only this |",
		"|---|---|---|",
	]
	alone = Counter(_only_reason(found))
	most = sorted(found.missing.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:20]
	lines += [
		f"| {_cell(reason)} | {len(names)} | {alone[reason] or ''} |"
		for reason, names in most
		if len(names) > 1
	]
	return "\n".join(lines)


def _only_reason(found: Coverage) -> Iterator[str]:
	"""Return the reason of each manifest that has just one."""
	reasons = defaultdict(list)
	for reason, names in found.missing.items():
		for name in names:
			reasons[name].append(reason)
	yield from (several[0] for several in reasons.values() if len(several) == 1)


def _cell(text: str) -> str:
	return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def write(found: Coverage) -> None:
	"""Put the table into the page, between its marks."""
	before, _mark, rest = PAGE.read_text().partition(MARKS[0])
	after = rest.partition(MARKS[1])[2]
	PAGE.write_text(f"{before}{MARKS[0]}\n\n{page(found)}\n\n{MARKS[1]}{after}")


def main() -> None:
	found = measured()
	if not found.all:
		print("There are no manifests here: name a folder or an archive of them, or set AIRBYTE_MANIFESTS.")
	else:
		print(page(found))
	if "--write" in sys.argv and found.all:
		write(found)
	say(
		[
			Figure("manifests that convert whole", found.whole, "manifests"),
			Figure("manifests that convert in part", found.partly, "manifests", "neither"),
			Figure("manifests that do not convert", found.not_at_all, "manifests", "lower"),
		]
		if found.all
		else []
	)


if __name__ == "__main__":
	main()
