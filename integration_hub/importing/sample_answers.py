"""Answers made up to a manifest's questions, to see whether it converts whatever is answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from integration_hub.importing.manifest.convert import convert_manifest
from integration_hub.importing.proposal import Complaints, Proposal, Question

_MOST = 6  # variants that are tried
_DATE = "2024-01-01T00:00:00Z"
_HINT = re.compile(r"%[YmdHs]|YYYY|yyyy-")  # how it is written, in place of an example


def sampled(text: str, name: str) -> Proposal:
	"""Return what a manifest becomes, with the complaints of all its alternatives. Raises ImportRefused."""
	questions = convert_manifest(text, name).questions
	complaints, found = Complaints(), None
	for answers in _variants(questions):
		found = _converted(text, name, answers)
		complaints.extend(found.complaints)
	return (
		Proposal(**{**vars(found), "complaints": tuple(complaints)})
		if found
		else convert_manifest(text, name)
	)


def _variants(questions: tuple[Question, ...]) -> Iterator[dict[str, Any]]:
	"""Return answers for each alternative, of the first few questions that offer some."""
	choosing = [one for one in questions if one.choices and one.required][:3]
	for number, chosen in enumerate(product(*(one.choices for one in choosing))):
		if number < _MOST:
			yield {one.name: value for one, value in zip(choosing, chosen, strict=True)}


def _converted(text: str, name: str, answers: Mapping[str, Any]) -> Proposal:
	asked = convert_manifest(text, name, answers).questions
	full = {**{one.name: sample(one) for one in asked}, **answers}
	return convert_manifest(text, name, full)


def sample(question: Question) -> Any:
	"""Return an answer that fits a question."""
	for found in (question.default, *question.choices[:1], question.example):
		if found not in (None, "") and not _HINT.search(str(found)):
			return [found] if question.kind == "array" and not isinstance(found, list) else found
	if question.kind == "array":
		return ["sample"]
	if question.kind in ("integer", "number"):
		return 1
	if question.kind == "boolean":
		return False
	text = f"{question.name} {question.label} {question.description}".lower()
	if any(word in question.name.lower() for word in ("url", "endpoint", "host")):
		return "https://api.example.com"
	return _DATE if any(word in text for word in ("date", "utc", "start_time")) else "sample"
