"""Answer Rules: settings that say what an answer means, by its status and body, before the built-in table decides.

A rule is a value. The first one that fits an answer decides; where none fits, `errors.BY_STATUS` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from integration_hub.connectors.bounded_jmespath import PathError, path_problem, search
from integration_hub.connectors.completeness_signs import says_yes
from integration_hub.connectors.placeholders import Template, TemplateError, unknown_placeholder
from integration_hub.connectors.responses import NotJSON, loaded, shown_text
from integration_hub.lazy_messages import _

SUCCESS, IGNORE, RETRY, LIMITED, RENEW, FAIL = ACTIONS = (
	"Success",
	"Ignore",
	"Retry",
	"Rate Limited",
	"Renew Credentials",
	"Fail",
)
HEADER = "header:"
_STATUS = re.compile(r"[1-5](?:\d\d|xx)", re.ASCII)
_MOST_TEXT = 100_000  # characters of a body that is no JSON, for a condition to look at


@dataclass(frozen=True)
class AnswerRule:
	"""One rule. Empty statuses or an empty condition fit every answer.

	statuses: with commas between, `4xx` for all of them. condition: JMESPath over the JSON body, or over
	`{"text": …}` where the body is none. wait: where a rate limit says how long, a path or `header:NAME`, in seconds or
	as a date. path: how the path of the URL ends that the rule is about, `*` for any one part of it. message: what to say of a failure, with `{body.…}` and `{status}`.
	"""

	statuses: str = ""
	condition: str = ""
	action: str = FAIL
	wait: str = ""
	message: str = ""
	path: str = ""

	def fits(self, response: requests.Response) -> bool:
		"""Tell whether an answer is one that the rule is about; a condition that does not fit the body is false."""
		if self.path and not _ends_with(response.url, self.path):
			return False
		if self.statuses and not any(_is_of(part, response.status_code) for part in _parts(self.statuses)):
			return False
		if not self.condition:
			return True
		try:
			return says_yes(search(self.condition, body_of(response)))
		except PathError:
			return False

	def said(self, response: requests.Response) -> str:
		"""Return the rule's message for an answer, "" if it has none."""
		if not self.message:
			return ""
		values = {"status": response.status_code, "body": body_of(response)}
		try:
			return Template.read(self.message).text(values) or ""
		except TemplateError:
			return ""

	def pause(self, response: requests.Response) -> str:
		"""Return what the answer says of the pause it asks for, as `Retry-After` would, "" for nothing."""
		if self.wait.startswith(HEADER):
			return response.headers.get(self.wait[len(HEADER) :].strip(), "")
		try:
			found = search(self.wait, body_of(response)) if self.wait else None
		except PathError:
			return ""
		is_plain = isinstance(found, str | int | float) and not isinstance(found, bool)
		return str(found) if is_plain else ""


def rule_for(rules: Sequence[AnswerRule], response: requests.Response) -> AnswerRule | None:
	"""Return the first rule that fits an answer, None if none does."""
	return next((rule for rule in rules if rule.fits(response)), None)


def body_of(response: requests.Response) -> Any:
	"""Return an answer's JSON; of what is none, `{"text": …}`."""
	try:
		return loaded(response)
	except NotJSON:
		return {"text": shown_text(response)[:_MOST_TEXT]}


def rule_problems(rules: Sequence[AnswerRule]) -> Iterator[str]:
	"""Return what is wrong with rules, as sentences that name the row."""
	for number, rule in enumerate(rules, 1):
		yield from (_("row {0}: {1}", number, problem) for problem in _problems(rule))


def _problems(rule: AnswerRule) -> Iterator[str]:
	for part in _parts(rule.statuses):
		if not _STATUS.fullmatch(part):
			yield _("{0!r} is not an HTTP status like 404 or 5xx", part)
	if not (rule.statuses.strip() or rule.condition.strip()):
		yield _("has neither a status nor a condition")
	if rule.action not in ACTIONS:
		yield _("{0!r} is not one of {1}", rule.action, ", ".join(ACTIONS))
	if rule.condition and (problem := path_problem(rule.condition)):
		yield problem
	if rule.wait and not rule.wait.startswith(HEADER) and (problem := path_problem(rule.wait)):
		yield problem
	try:
		unknown = unknown_placeholder(Template.read(rule.message).placeholders, ("status", "body", "body."))
	except TemplateError as error:
		unknown = str(error)
	if unknown:
		yield unknown


def _ends_with(url: str, path: str) -> bool:
	"""Tell whether the path of a URL ends with the parts of another one, of which `*` stands for any."""
	wanted = [part for part in path.split("/") if part]
	found = [part for part in urlsplit(url).path.split("/") if part]
	here = found[len(found) - len(wanted) :] if len(wanted) <= len(found) else [""]
	return len(here) == len(wanted) and all(w in ("*", h) for w, h in zip(wanted, here, strict=True))


def _parts(statuses: str) -> list[str]:
	return statuses.lower().replace(",", " ").split()


def _is_of(part: str, status: int) -> bool:
	return part == str(status) or (part.endswith("xx") and part[0] == str(status)[0])
