"""The errors that an answer means: by the rules of the settings, else by its status, headers and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import requests

from integration_hub.connectors import errors
from integration_hub.connectors.answer_rules import (
	IGNORE,
	LIMITED,
	RENEW,
	RETRY,
	SUCCESS,
	AnswerRule,
	body_of,
	rule_for,
)
from integration_hub.connectors.bounded_jmespath import computes
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.connectors.rate_limit_headers import asks_to_wait, pause_asked
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.responses import complaint_of, rate_limited, shown_text
from integration_hub.connectors.retry import retry_after

_SHOWN_BODY = 500
_SHOWN_SAID = 250


class AnswerErrors:
	"""Judges the answers of one external system, and makes errors that carry request and answer, short and redacted.

	rules: the answer rules of the settings. pause: called with the seconds for which a rule has requests wait.
	"""

	def __init__(
		self, rules: Sequence[AnswerRule], redactor: Redactor, pause: Callable[[float], None]
	) -> None:
		self.rules = rules
		self.redactor = redactor
		self._pause = pause

	def rule_for(self, response: requests.Response) -> AnswerRule | None:
		"""Return the rule of the settings that fits an answer; raises MalformedAnswer for one that holds a secret.

		A condition would tell whether a guess at it is right.
		"""
		is_computed = any(rule.condition and computes(rule.condition) for rule in self.rules)
		if is_computed and KnownSecrets(self.redactor).stands_in_any(body_of(response)):
			raise self.make(errors.MalformedAnswer, response, f"answer_rules: {is_secret()}")
		return rule_for(self.rules, response)

	def is_unauthenticated(self, response: requests.Response) -> bool:
		"""Tell whether an answer asks for renewed authentication."""
		rule = self.rule_for(response)
		return rule.action == RENEW if rule else response.status_code == 401

	def checked(self, response: requests.Response) -> requests.Response:
		"""Return an answer that is a success, marked where a rule has it ignored; raises the error of another one."""
		rule = self.rule_for(response)
		if rule:
			return self._ruled(rule, response)
		if response.status_code < 300:
			return response
		raise self.make(refusal_class(response), response)

	def _ruled(self, rule: AnswerRule, response: requests.Response) -> requests.Response:
		if rule.action == IGNORE:
			response.ignored_status = response.status_code
		if rule.action in (IGNORE, SUCCESS):
			return response
		words = self.redactor.text(rule.said(response), 300)
		error = self.make(_ruled_class(rule, response), response, words)
		if rule.action == LIMITED and (pause := retry_after(rule.pause(response))):
			error.retry_after = pause
			self._pause(pause)
		raise error

	def make(
		self,
		kind: type[errors.ConnectorError],
		response: requests.Response,
		detail: str = "",
		said: str | None = None,
	) -> errors.ConnectorError:
		"""Return an error that carries the request and the answer. said: words of the answer, if they are known."""
		words = complaint_of(response) if said is None else said
		return kind(
			detail,
			said=self.redactor.text(words, _SHOWN_SAID),
			method=response.request.method or "",
			url=self.redactor.text(response.url, 300),
			status=response.status_code,
			body=self.redactor.text(shown_text(response), _SHOWN_BODY),
			retry_after=pause_asked(response.headers, response.status_code) or None,
		)


def refusal_class(response: requests.Response) -> type[errors.ConnectorError]:
	"""Return the class of an answer that is no success: its status decides, and what a 403 says of limits."""
	if response.status_code == 403 and (asks_to_wait(response.headers) or rate_limited(response)):
		return errors.RateLimited
	return errors.error_class(response.status_code)


def _ruled_class(rule: AnswerRule, response: requests.Response) -> type[errors.ConnectorError]:
	kinds = {RETRY: errors.ServerError, LIMITED: errors.RateLimited, RENEW: errors.AuthenticationFailed}
	refused = errors.RefusedWithin if response.status_code < 300 else refusal_class(response)
	return kinds.get(rule.action, refused)
