"""Answers as a sender wants them: which status says that an event is stored, and what is read besides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.lazy_messages import _
from integration_hub.webhooks.messages import Response

ANSWERS = ("", "Reason", "Nothing", "Text")
STORED = frozenset({"received", "duplicate", "unrouted", "conflict", "no_events"})
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[\x20-\x7e]{0,500}")
# These say how the answer is read, or would be kept by who reads it.
_OURS = frozenset(
	{
		"connection",
		"content-encoding",
		"content-length",
		"content-type",
		"set-cookie",
		"transfer-encoding",
		"upgrade",
	}
)


def as_asked(config: IntegrationConfig, answer: Response) -> Response:
	"""Return an answer in the form that the settings want; one to a handshake stays as it is.

	What is stored is always committed by now: only how that is said is a setting.
	"""
	if answer.reason in STORED:
		return _stored(config, answer)
	if config.answer_with == "Nothing" and answer.status >= 400:
		return replace(answer, silent=True)
	return answer


def _stored(config: IntegrationConfig, answer: Response) -> Response:
	if config.answer_200:
		answer = replace(answer, status=200)
	if config.answer_headers:
		answer = replace(answer, headers=(*answer.headers, *_headers(config.answer_headers)))
	if config.answer_with == "Nothing":
		return replace(answer, silent=True)
	if config.answer_with == "Text":
		return replace(answer, content=config.answer_text, mimetype=config.answer_type or "text/plain")
	return answer


@lru_cache(500)
def _headers(text: str) -> tuple[tuple[str, str], ...]:
	lines = (line.partition(":") for line in text.splitlines() if line.strip())
	return tuple((name.strip(), value.strip()) for name, _colon, value in lines)


def answer_problems(config: IntegrationConfig) -> Iterator[tuple[str, str]]:
	"""Give what is wrong with the settings of answers, as (field, sentence)."""
	if config.answer_with not in ANSWERS:
		named = ", ".join(filter(None, ANSWERS))
		yield "answer_with", _("{0!r} is not one of {1}", config.answer_with, named)
	if config.answer_with == "Text" and not config.answer_text:
		yield "answer_text", _("is needed for {0}", "Text")
	if config.answer_type and not re.fullmatch(r"[\w.+-]+/[\w.+-]+(; ?charset=[\w-]+)?", config.answer_type):
		yield "answer_type", _("{0!r} is not a media type", config.answer_type)
	for name, value in _headers(config.answer_headers):
		if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or name.lower() in _OURS:
			yield "answer_headers", _("{0!r} cannot be a header of an answer", name)
