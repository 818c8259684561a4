"""Answers to the questions of a description: read as their kinds say, and what is left to ask."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from integration_hub.importing.documents import ImportRefused
from integration_hub.importing.proposal import Proposal, Question
from integration_hub.lazy_messages import _

_LONGEST = 10_000


def read_answer(question: Question | None, text: Any) -> Any:
	"""Return an answer in the kind that its question wants. Raises ImportRefused naming the question."""
	if not isinstance(text, str):
		return text
	if len(text) > _LONGEST:
		raise ImportRefused(
			_("{0}: is longer than {1} characters", question.name if question else "?", _LONGEST)
		)
	if question is None or question.kind == "string":
		return text
	try:
		return _READ[question.kind](text)
	except (ValueError, KeyError):
		raise ImportRefused(
			_("{0}: {1!r} is not of the kind {2}", question.name, text[:80], question.kind)
		) from None


def _list(text: str) -> list[Any]:
	"""Return a list written as JSON, or with commas or lines between."""
	if text.lstrip().startswith("["):
		found = json.loads(text)
		return found if isinstance(found, list) else [found]
	return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


_READ = {
	"integer": int,
	"number": float,
	"boolean": lambda text: {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
		text.strip().lower()
	],
	"array": _list,
	"object": json.loads,
}


def read_answers(questions: Iterable[Question], given: Mapping[str, Any]) -> dict[str, Any]:
	"""Return answers in the kinds of their questions, those that are empty left out. Raises ImportRefused."""
	by_name = {question.name: question for question in questions}
	return {
		name: read_answer(by_name.get(name), value)
		for name, value in given.items()
		if value not in (None, "")
	}


def unanswered(questions: Iterable[Question], answers: Mapping[str, Any]) -> list[Question]:
	"""Return the questions that have to be answered before settings can be made, secrets left out."""
	return [
		question
		for question in questions
		if question.required
		and not question.secret
		and question.default is None
		and question.name not in answers
	]


def chosen(proposal: Proposal, names: Collection[str]) -> Proposal:
	"""Return the part of a proposal that some streams need, with their parents; all of it for no names.

	Raises ImportRefused for a stream that is not there.
	"""
	if not names:
		return proposal
	wanted: dict[str, None] = {}
	for name in names:
		if name not in proposal.streams:
			known = ", ".join(proposal.streams)
			raise ImportRefused(_("there is no stream {0!r}; there are {1}", name, known[:1000]))
		_want(proposal, name, wanted)
	streams = {name: row for name, row in proposal.streams.items() if name in wanted}
	integrations = {row["integration"] for row in streams.values()}
	tables = {row["target_doctype"] for row in streams.values()}
	return replace(
		proposal,
		streams=streams,
		integrations={name: row for name, row in proposal.integrations.items() if name in integrations},
		secrets={name: row for name, row in proposal.secrets.items() if name in integrations},
		tables={name: row for name, row in proposal.tables.items() if name in tables},
	)


def _want(proposal: Proposal, name: str, wanted: dict[str, None]) -> None:
	while name and name not in wanted:
		wanted[name] = None
		name = proposal.streams.get(name, {}).get("parent_stream", "")
