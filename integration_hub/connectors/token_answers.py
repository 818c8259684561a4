"""Answers of token endpoints and logins: where the token is, and how long it is good for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import requests
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

from integration_hub.connectors import errors
from integration_hub.connectors.answer_errors import AnswerErrors
from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.responses import NotJSON, complaint, loaded, page_of, shape, shown_text
from integration_hub.connectors.retry import seconds_until
from integration_hub.connectors.secrets import Secret

HEADER, COOKIE = "header:", "cookie:"
_DEFAULT_LIFETIME = 3600  # where the server states no expires_in (RFC 6749, 5.1 makes it optional)
_LONGEST = 100 * 366 * 86_400.0
_FRACTION = re.compile(r"(\.\d{6})\d+")
# What an answer may hold that is none.
_UNFIT = (ValueError, TypeError, AttributeError, RecursionError, OAuth2Error)


@dataclass(frozen=True, repr=False)
class Granted:
	"""A token as its endpoint granted it. seconds: until the token ends."""

	token: Secret
	seconds: float
	refresh_token: str = ""


class TokenAnswers:
	"""Reads the answers of one integration's token endpoint; what is no token is a ConnectorError."""

	def __init__(self, config: IntegrationConfig, answers: AnswerErrors) -> None:
		self._config, self._answers = config, answers

	def read(self, response: requests.Response) -> Granted:
		"""Return what was granted. Raises AuthenticationFailed with the answer's words where it refuses."""
		status = response.status_code
		if status >= 300 and status not in (400, 401, 403) and not self._is_elsewhere(response):
			raise self._answers.make(
				errors.error_class(status), response, "The token endpoint sent no token."
			)
		try:
			return self._granted(response)
		except _UNFIT as error:
			raise self._unshown(self._no_token(response, error)) from None

	def _unshown(self, error: errors.ConnectorError) -> errors.ConnectorError:
		"""Return an error without the answer's body, unless that is a refusal: a token may stand in it, unknown as yet."""
		error.body = error.body if (error.status or 0) >= 400 else ""
		return error

	def _is_elsewhere(self, response: requests.Response) -> bool:
		"""Tell whether a redirect, as forms of a login answer, may bring the token in a header or cookie."""
		return response.status_code < 400 and self._config.token_path.startswith((HEADER, COOKIE))

	def _granted(self, response: requests.Response) -> Granted:
		path = self._config.token_path
		if not path and self._config.auth_type != "Session Token":
			return self._standard(response)
		if response.status_code >= 400:
			raise ValueError
		token = self._found(path or "access_token", response)
		if not token or isinstance(token, bool) or not isinstance(token, str | int):
			raise NoTokenThere(path or "access_token")
		answer = _parts(response)
		refresh_token = answer.get("refresh_token") if isinstance(answer, Mapping) else ""
		return Granted(
			Secret(token),
			self._lifetime(response),
			Secret(refresh_token if isinstance(refresh_token, str) else ""),
		)

	def _standard(self, response: requests.Response) -> Granted:
		"""Return what an answer as RFC 6749, 5.1 grants."""
		answer = _parts(response)
		plain = {key: value for key, value in answer.items() if key not in ("expires_in", "expires_at")}
		client = WebApplicationClient(self._config.client_id)
		granted = client.parse_request_body_response(Secret(json.dumps(plain)), scope=None)
		token = granted["access_token"]
		if not isinstance(token, str) or not token:
			raise ValueError
		return Granted(Secret(token), self._lifetime(response), Secret(granted.get("refresh_token") or ""))

	def _lifetime(self, response: requests.Response) -> float:
		stated = self._found(self._config.expires_path or "expires_in", response)
		return lifetime(stated, self._config.token_lifetime or _DEFAULT_LIFETIME)

	def _found(self, path: str, response: requests.Response) -> Any:
		if path.startswith(HEADER):
			return response.headers.get(path[len(HEADER) :].strip())
		if path.startswith(COOKIE):
			return response.cookies.get(path[len(COOKIE) :].strip())
		try:
			return search(path, _parts(response))
		except (PathError, NotJSON):
			return None

	def _no_token(self, response: requests.Response, error: Exception) -> errors.ConnectorError:
		"""Return the error of an answer without a token, with its own words in whatever shape they come."""
		if page := page_of(response):
			kind = errors.AuthenticationFailed if response.status_code >= 300 else errors.MalformedAnswer
			return self._answers.make(
				kind, response, "The response of the token endpoint is not a token:", f"{page}."
			)
		words = _words(response)
		refused = bool(words) or response.status_code >= 300 or isinstance(error, OAuth2Error)
		kind = errors.AuthenticationFailed if refused else errors.MalformedAnswer
		if words:
			return self._answers.make(kind, response, "The token endpoint answered:", words)
		return self._answers.make(
			kind,
			response,
			f"The response of the token endpoint is not a token ({self._reason(error, response)}).",
		)

	def _reason(self, error: Exception, response: requests.Response) -> str:
		if isinstance(error, NoTokenThere):
			return f"token_path {error}: {_shape(response)}"
		redacted = self._answers.redactor.text(error, 200)
		return redacted if isinstance(error, OAuth2Error) else type(error).__name__


class NoTokenThere(ValueError):
	"""An answer holds nothing at the path of the token."""


def lifetime(stated: Any, otherwise: float) -> float:
	"""Return the seconds until a token ends: stated as seconds, a time since 1970, a date or a duration, or not at all.

	A date without a zone is in UTC. Raises ValueError where the answer says nonsense.
	"""
	if stated is None or stated == "":
		return float(otherwise)
	if isinstance(stated, bool) or not isinstance(stated, str | int | float):
		raise ValueError("expires_in")
	number = _number(stated)
	if number is not None and (number < 0 or number > _LONGEST * 1e6):
		return max(number, -_LONGEST) if number < 0 else _LONGEST
	text = f"{number:.6f}" if number is not None else _FRACTION.sub(r"\1", str(stated))
	seconds = seconds_until(text)
	if seconds is None:
		raise ValueError("expires_in")
	return min(seconds, _LONGEST)


def _number(stated: str | int | float) -> float | None:
	try:
		number = float(stated)
	except (ValueError, OverflowError):
		return None
	if not math.isfinite(number):
		raise ValueError("expires_in")
	return number


def _parts(response: requests.Response) -> Any:
	"""Return an answer's JSON, or the pairs of a form, as some servers send it (RFC 6749 wants JSON)."""
	try:
		return loaded(response)
	except NotJSON:
		found = dict(parse_qsl(shown_text(response)))
		if not found:
			raise
		return found


def _words(response: requests.Response) -> str:
	try:
		return complaint(loaded(response))
	except NotJSON:
		return ""


def _shape(response: requests.Response) -> str:
	try:
		return shape(_parts(response))
	except NotJSON:
		return "the response is not JSON"
