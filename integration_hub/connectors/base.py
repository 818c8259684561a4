"""The HTTP client of one external system."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import requests
from requests.auth import AuthBase

from integration_hub.connectors import errors
from integration_hub.connectors.answer_errors import AnswerErrors
from integration_hub.connectors.auth import HeaderAuth, basic_user, static_auth
from integration_hub.connectors.breaker import Breaker
from integration_hub.connectors.certificates import certificates_of
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import Coordination, LocalCoordination
from integration_hub.connectors.extra_credentials import plain_headers, with_extras
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.connectors.rate_budget import Budget, RateBudget, sleep_while
from integration_hub.connectors.rate_limit_headers import pause_asked
from integration_hub.connectors.responses import NotJSON, loaded
from integration_hub.connectors.retry import IDEMPOTENT_METHODS, RetryPolicy
from integration_hub.connectors.secrets import Secret, Secrets, redactor_for
from integration_hub.connectors.token_placement import token_auth
from integration_hub.connectors.transport import Transport
from integration_hub.connectors.urls import OtherOrigin, joined, origin, redirected, with_query
from integration_hub.lazy_messages import _

__all__ = ["BaseConnector", "Budget", "origin"]

_MAX_REDIRECTS = 5
_TOLD_SECONDS = 5.0  # a pause of the budget that is worth a word
_HURRIED_SECONDS = 2.0  # the longest pause while a person waits, and a web worker with them


class BaseConnector:
	"""Talks HTTP to one external system: timeouts, budget, retry and clear errors on every call.

	Subclass it for a system that needs more than settings; override `authenticate` or add methods.
	"""

	def __init__(
		self,
		config: IntegrationConfig,
		secrets: Secrets,
		coordination: Coordination | None = None,
		*,
		retry: RetryPolicy | None = None,
		allowed_hosts: Iterable[str] = (),
	) -> None:
		self.config = config
		self.secrets = secrets
		self.coordination = coordination or LocalCoordination()
		self.retry = retry or RetryPolicy.of(config)
		self.patience = (
			config.max_wait
		)  # the longest pause that is waited for; beyond it RetryLater is raised
		self.breaker = Breaker(
			config.name, self.coordination, config.breaker_threshold, config.breaker_seconds
		)
		self.redactor = redactor_for(secrets)
		self._closed = False
		basic = basic_user(config, secrets.get)
		for user, field in ((basic, "secret"), (config.client_id, "client_secret")):
			if secret := secrets.get(field):
				self.redactor.add(f"{user}:{secret}")  # as Basic sends it
		if config.auth_type == "Basic" and not secrets.get("secret"):
			self.redactor.add(basic)  # then it is the key itself
			self.redactor.add(f"{basic}:")
		self.answers = AnswerErrors(
			config.answer_rules, self.redactor, lambda seconds: self.rate.pause(seconds)
		)
		self.transport = Transport(
			config,
			self.redactor,
			allowed_hosts,
			self._proxy_authorization(),
			certificates_of(config, secrets.get),
		)

	@property
	def session(self) -> requests.Session:
		"""Return the HTTP session that all requests of this connector share."""
		return self.transport.session

	def _proxy_authorization(self) -> str:
		"""Return the header that the proxy asks for, "" where there is no proxy, or it asks for none."""
		given = self.secrets.get("proxy_secret") if self.config.proxy else None
		return Secret(f"Basic {b64encode(given.encode()).decode()}") if given else ""

	# Called with what a call ended in, where nobody else keeps it: a call that an app makes in its own code.
	failed: Callable[[errors.ConnectorError], None] | None = None

	_signed_token, _signed_until = "", 0.0

	hurried = False  # does a person wait?

	# Is one fetch of a list sure to meet each record that stays in the source, whatever changes meanwhile?
	stable_pages = False

	# Fields of a stream that this connector does not use, and the usual values of others.
	unused: ClassVar[frozenset[str]] = frozenset()
	usual: ClassVar[Mapping[str, str]] = {}

	# Does the system report deletions in records of their own, and never within others?
	deletions_apart = False

	def __enter__(self) -> BaseConnector:
		return self

	def __exit__(self, *exc_info: object) -> None:
		self.close()

	def __repr__(self) -> str:
		return f"<{type(self).__name__} {self.config.name}>"

	def close(self) -> None:
		"""Close pooled connections; nothing more is sent."""
		self._closed = True
		self.transport.close()

	def token_expires_at(self) -> float | None:
		"""Return when the access token in store expires, in seconds since the epoch; None where there is none."""
		return None

	def budget(self) -> Budget | None:
		"""Return what is left of the rate budget, None where there is no limit and no pause."""
		return self.rate.state()

	@property
	def rate(self) -> RateBudget:
		"""Return the rate budget that all processes share."""
		return RateBudget(
			self.config.name, self.coordination, self.config.rate_limit, self.config.rate_period
		)

	def reset(self) -> None:
		"""Forget earlier failures (breaker, refused token): a person asks whether it works now."""
		self.breaker.close()

	def get(self, path: str, **options: Any) -> Any:
		"""Send a GET and return the parsed answer; options and errors are those of `request`."""
		return self.request("GET", path, **options)

	def post(self, path: str, **options: Any) -> Any:
		"""Send a POST and return the parsed answer; options and errors are those of `request`."""
		return self.request("POST", path, **options)

	def put(self, path: str, **options: Any) -> Any:
		"""Send a PUT and return the parsed answer; options and errors are those of `request`."""
		return self.request("PUT", path, **options)

	def patch(self, path: str, **options: Any) -> Any:
		"""Send a PATCH and return the parsed answer; options and errors are those of `request`."""
		return self.request("PATCH", path, **options)

	def delete(self, path: str, **options: Any) -> Any:
		"""Send a DELETE and return the parsed answer; options and errors are those of `request`."""
		return self.request("DELETE", path, **options)

	def request(
		self,
		method: str,
		path: str,
		*,
		params: Mapping[str, Any] | None = None,
		json: Any = None,
		data: Any = None,
		headers: Mapping[str, str] | None = None,
		idempotency_key: str | None = None,
		repeatable: bool = False,
		raw: bool = False,
		spooled: bool = False,
		auth: AuthBase | None = None,
		wanted: Callable[[], bool] | None = None,
		begun: Callable[[], requests.Response] | None = None,
	) -> Any:
		"""Send a request and return the parsed JSON answer.

		path: relative to the base URL, or an absolute URL on the same host (a next link).
		idempotency_key: sent as `Idempotency-Key`; makes a POST or PATCH safe to repeat.
		repeatable: a POST that only reads, as a search does, is as safe to repeat.
		raw: return the `requests.Response` (its body read) instead of the parsed JSON. spooled: its body is in a file, at
		`spool`, as it was transferred.
		auth: what `authenticate` returned; then nothing is read from the secrets, and a 401 is not mended.
		wanted: for what may turn out to be needless: asked before anything is sent, and the only attempt is neither
		repeated nor counted by the breaker. begun: gives what such an attempt brought; it is the first one here.

		Returns None for an empty body. Raises a ConnectorError, after the retries the policy allows;
		RetryLater when the server asks for a pause longer than a worker may sleep.
		"""
		method = method.upper()
		url = with_query(self.url(path), params)
		headers = self._headers(headers or {}, idempotency_key)
		idempotent = method in IDEMPOTENT_METHODS or bool(idempotency_key) or repeatable

		made = [begun] if begun else []

		def send() -> requests.Response:
			if made:
				with suppress(
					errors.AuthenticationFailed, errors.BreakerOpen
				):  # in this thread the token can be renewed
					return made.pop()()
			body = {"json": json, "data": data, "headers": headers, "spooled": spooled}
			return self._send(method, url, auth, wanted, **body)

		try:
			if wanted:
				self.breaker.look()
				response = send()
			else:
				response = self._through_breaker(lambda: self.retry.run(send, idempotent=idempotent))
			return response if raw else self.parse(response)
		except errors.ConnectorError as error:
			# There may have been no request.
			error.about(errors.ConnectorError(method=method, url=self.redactor.text(url, 300)))
			if self.failed and not wanted and not isinstance(error, errors.RetryLater):
				self.failed(error)
			raise

	def hurry(self) -> None:
		"""Wait for no budget, pause or lock: a person does, and with them a web worker.

		What would be waited for raises RetryLater at once, which says for how long; a failed call is repeated once, and soon.
		"""
		self.hurried = True
		self.patience = min(self.patience, _HURRIED_SECONDS)
		self.retry = self.retry.hurried(self.patience)

	def report_pauses(self, on_pause: Callable[[str], None]) -> None:
		"""Have `on_pause` called, in the caller's thread, with a sentence before each pause between attempts."""
		self.retry = replace(self.retry, on_pause=on_pause)

	def push_data(self, path: str, record: Any, *, idempotency_key: str | None = None) -> Any:
		"""POST one record; with an idempotency key it is repeated after any fault that a repeat may mend."""
		return self.post(path, json=record, idempotency_key=idempotency_key)

	def pages(self, request: ListRequest) -> Iterator[Page]:
		"""Fetch a list page by page; a connector whose system has lists overrides this.

		A page's records are dictionaries. Raises ConnectorError.
		"""
		raise errors.ConfigurationError(
			f"{self.config.name}: connector {self.config.connector!r} has no lists to sync.",
			field="connector",
		)

	def first_answer(self, request: ListRequest) -> tuple[Any, Mapping[str, str], str]:
		"""Return the first answer for a list as it is parsed, its headers, and the URL that was asked, for a person to see.

		A connector that makes pages in a way of its own gives the records of the first one, without headers.
		"""
		first = next(iter(self.pages(request)), None)
		return (first.records if first else []), {}, self.url(request.endpoint)

	def url(self, path: str) -> str:
		"""Join `path` to the base URL. Raises ConfigurationError if the result is on another origin."""
		try:
			return joined(self.config.base_url, path)
		except OtherOrigin as error:
			shown = self.redactor.text(path, 200)
			raise errors.ConfigurationError(
				f"{self.config.name}: {shown} {error}", field="base_url"
			) from None

	def authenticate(self) -> AuthBase | None:
		"""Return the auth object for the next request; called for each request."""
		given = self.secrets.authorization() if self.config.auth_type == "Connected App" else None
		if given:
			self.redactor.add(given.partition(" ")[2])
			return HeaderAuth("Authorization", given)
		if self.config.auth_type == "JWT":
			return self._signed()
		return static_auth(self.config, self.secrets.get)

	def _signed(self) -> AuthBase:
		"""Return what carries a token of our own: it is signed again when half of its time has passed."""
		from integration_hub.connectors.jwt_signing import lifetime_of, signed_token

		if time.time() >= self._signed_until:
			self._signed_token = signed_token(self.config, self.secrets.get)
			self._signed_until = time.time() + lifetime_of(self.config) / 2
			self.redactor.add(self._signed_token)
		return token_auth(self.config, self._signed_token)

	def credentials(self) -> AuthBase | None:
		"""Return all that the next request proves itself with: what `authenticate` returns, and the extra secrets."""
		return with_extras(self.authenticate(), self.config, self.secrets.get)

	def _headers(self, given: Mapping[str, str], idempotency_key: str | None) -> dict[str, str]:
		"""Return the headers of a request, with the extra ones of the settings that it does not have itself."""
		names = {name.lower() for name in given}
		extra = {name: text for name, text in plain_headers(self.config).items() if name.lower() not in names}
		return {**extra, **given, **({"Idempotency-Key": idempotency_key} if idempotency_key else {})}

	def renew_authentication(self, rejected: AuthBase | None) -> bool:
		"""Renew the authentication after a 401, once a request; return True if the request is worth repeating."""
		return False

	def parse(self, response: requests.Response) -> Any:
		"""Return the JSON body, None if it is empty or a rule ignores it; raises MalformedAnswer if it is not JSON."""
		if getattr(response, "ignored_status", 0):
			return None
		try:
			return loaded(response)
		except NotJSON as error:
			raise self.answers.make(
				errors.MalformedAnswer, response, self.redactor.text(error, 300)
			) from None

	def _through_breaker(self, work: Callable[[], requests.Response]) -> requests.Response:
		self.breaker.before()
		try:
			response = work()
		except errors.ConnectorError as error:
			self.breaker.after(error)
			raise
		self.breaker.after(None)
		return response

	def _send(
		self,
		method: str,
		url: str,
		given: AuthBase | None,
		wanted: Callable[[], bool] | None = None,
		**options: Any,
	) -> requests.Response:
		"""Send once, and once more with renewed authentication after a 401."""
		auth = given or self.credentials()
		response = self._exchange(method, url, auth, wanted, **options)
		rejected = getattr(auth, "main", auth)
		if not given and self.answers.is_unauthenticated(response) and self.renew_authentication(rejected):
			response = self._exchange(method, url, self.credentials(), wanted, **options)
		return self.answers.checked(response)

	def _exchange(
		self,
		method: str,
		url: str,
		auth: AuthBase | None,
		wanted: Callable[[], bool] | None = None,
		**options: Any,
	) -> requests.Response:
		"""Send once, following redirects of safe methods within the origin."""
		for _redirect in range(_MAX_REDIRECTS + 1):
			self._await_budget(method, url, wanted)
			if self._closed:  # while another thread was about to, or waited
				shown = self.redactor.text(url, 300)
				raise errors.ConfigurationError("The connector is closed.", method=method, url=shown)
			response = self._transport(method, url, auth, **options)
			if pause := pause_asked(response.headers, response.status_code):
				self.rate.pause(pause)
			location = response.headers.get("Location")
			if not (response.is_redirect and location and method in ("GET", "HEAD")):
				return response
			try:
				target = redirected(url, location)
			except OtherOrigin as error:
				detail = f"It redirects to another host, which is not followed. The redirect {self.redactor.text(error, 200)}"
				raise self.answers.make(errors.UnexpectedStatus, response, detail) from None
			except (ValueError, errors.ConfigurationError):
				detail = "It redirects to an address that is not a URL."
				raise self.answers.make(errors.UnexpectedStatus, response, detail) from None
			url = target
		raise errors.UnexpectedStatus("Too many redirects.", method=method, url=self.redactor.text(url))

	def _transport(
		self, method: str, url: str, auth: AuthBase | None, *, deadline: float | None = None, **options: Any
	) -> requests.Response:
		return self.transport.exchange(method, url, auth, seconds=deadline, **options)

	def _await_budget(self, method: str, url: str, wanted: Callable[[], bool] | None) -> None:
		"""Wait for a slot of the rate budget; raises RetryLater if it is too far away.

		Raises CancelledError where the request is no longer wanted when its turn comes.
		"""
		wait = self.rate.reserve(self.patience)
		if wait > self.patience:
			raise errors.Paused(wait, method=method, url=self.redactor.text(url, 300))
		if wanted:
			sleep_while(wanted, wait)
		elif wait > 0:
			if self.retry.on_pause and wait >= _TOLD_SECONDS:
				self.retry.on_pause(_("The rate budget has room again in {0} s.", f"{wait:.0f}"))
			self.retry.sleep(wait)

	def explain(self, error: errors.ConnectorError, response: requests.Response) -> errors.ConnectorError:
		"""Return an error about what an answer holds, with the request and the answer it is about."""
		return error.about(self.answers.make(type(error), response))
