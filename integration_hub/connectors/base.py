"""The HTTP client of one external system."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests
from requests.auth import AuthBase
from urllib3.exceptions import DecodeError, LocationParseError, ProtocolError, ReadTimeoutError
from urllib3.util import parse_url

from integration_hub.connectors import errors
from integration_hub.connectors.auth import HeaderAuth, static_auth
from integration_hub.connectors.breaker import Breaker
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import Coordination, LocalCoordination
from integration_hub.connectors.guard import REFUSED, GuardedAdapter
from integration_hub.connectors.json_text import read_json
from integration_hub.connectors.limits import pause_asked
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.connectors.retry import IDEMPOTENT_METHODS, RetryPolicy, retry_after
from integration_hub.connectors.secrets import Secret, Secrets, redactor_for

_CHUNK = 64 * 1024
_SHOWN_BODY = 500
_MAX_REDIRECTS = 5
# Requests leave evenly and arrive with jitter: at the full rate, a late one and an early one would meet in the
# server's window. What is left unused is the room for that.
_BUDGET_USED = 0.96


@dataclass(frozen=True)
class Budget:
	"""A rate budget now: of `limit` requests in `period` seconds, `left` may still leave within the next such
	period; the first after `wait` seconds, since requests leave evenly, or the system asked for a pause."""

	limit: int
	period: float
	left: int
	wait: float


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
	):
		self.config = config
		self.secrets = secrets
		self.coordination = coordination or LocalCoordination()
		self.retry = retry or RetryPolicy.of(config)
		self.breaker = Breaker(
			config.name, self.coordination, config.breaker_threshold, config.breaker_seconds
		)
		self.redactor = redactor_for(secrets)
		self._closed = False
		for user, field in ((config.username, "secret"), (config.client_id, "client_secret")):
			if user and (secret := secrets.get(field)):
				self.redactor.add(f"{user}:{secret}")  # as Basic sends it
		self.session = requests.Session()
		for scheme in ("http://", "https://"):
			self.session.mount(scheme, GuardedAdapter(allowed_hosts, self._proxy_authorization()))
		self.session.trust_env = False  # neither proxies nor .netrc of the machine decide where secrets go
		self.session.headers.update({"Accept": "application/json", "User-Agent": "integration-hub"})
		self.session.verify = config.verify_tls
		if config.proxy:
			self.session.proxies = {"http": config.proxy, "https": config.proxy}

	def _proxy_authorization(self) -> str:
		"""Return the header that the proxy asks for, "" where there is no proxy, or it asks for none."""
		given = self.secrets.get("proxy_secret") if self.config.proxy else None
		return Secret(f"Basic {b64encode(given.encode()).decode()}") if given else ""

	# Is a record that stays in the source surely met by one walk of a list, whatever changes meanwhile?
	stable_pages = False

	def __enter__(self) -> BaseConnector:
		return self

	def __exit__(self, *exc_info: object) -> None:
		self.close()

	def __repr__(self) -> str:
		return f"<{type(self).__name__} {self.config.name}>"

	def close(self) -> None:
		"""Close pooled connections; nothing more is sent."""
		self._closed = True
		self.session.close()

	def token_expires_at(self) -> float | None:
		"""Return when the access token in store expires, in seconds since the epoch; None where there is none."""
		return None

	def budget(self) -> Budget | None:
		"""Return what is left of the rate budget, None where there is no limit and no pause."""
		wait, limit, period = (
			self.coordination.wait(self.config.name),
			self.config.rate_limit,
			self.config.rate_period,
		)
		if not limit and not wait:
			return None
		left = int(max(period - wait, 0) / period * limit)
		return Budget(limit=limit, period=period, left=left, wait=wait)

	def reset(self) -> None:
		"""Forget earlier failures (breaker, refused token): a person asks whether it works now."""
		self.breaker.close()

	def get(self, path: str, **options: Any) -> Any:
		return self.request("GET", path, **options)

	def post(self, path: str, **options: Any) -> Any:
		return self.request("POST", path, **options)

	def put(self, path: str, **options: Any) -> Any:
		return self.request("PUT", path, **options)

	def patch(self, path: str, **options: Any) -> Any:
		return self.request("PATCH", path, **options)

	def delete(self, path: str, **options: Any) -> Any:
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
		raw: bool = False,
		auth: AuthBase | None = None,
	) -> Any:
		"""Send a request and return the parsed JSON answer.

		path: relative to the base URL, or an absolute URL on the same host (a next link).
		idempotency_key: sent as `Idempotency-Key`; makes a POST or PATCH safe to repeat.
		raw: return the `requests.Response` (its body read) instead of the parsed JSON.
		auth: what `authenticate` returned; then nothing is read from the secrets, and a 401 is not mended.

		Returns None for an empty body. Raises a ConnectorError, after the retries the policy allows;
		RetryLater when the server asks for a pause longer than a worker may sleep.
		"""
		method = method.upper()
		url = self.url(path)
		headers = dict(headers or {})
		if idempotency_key:
			headers["Idempotency-Key"] = idempotency_key
		idempotent = method in IDEMPOTENT_METHODS or bool(idempotency_key)

		def send() -> requests.Response:
			return self._send(method, url, auth, params=params, json=json, data=data, headers=headers)

		response = self._through_breaker(lambda: self.retry.run(send, idempotent=idempotent))
		return response if raw else self.parse(response)

	def push_data(self, path: str, record: Any, *, idempotency_key: str | None = None) -> Any:
		"""POST one record; with an idempotency key it is repeated after any fault that a repeat may mend."""
		return self.post(path, json=record, idempotency_key=idempotency_key)

	def pages(self, request: ListRequest) -> Iterator[Page]:
		"""Walk a list page by page; a connector whose system has lists overrides this.

		A page's records are dictionaries. Raises ConnectorError.
		"""
		raise errors.ConfigurationError(
			f"{self.config.name}: connector {self.config.connector!r} has no lists to sync.",
			field="connector",
		)

	def url(self, path: str) -> str:
		"""Join `path` to the base URL. Raises ConfigurationError if the result is on another origin."""
		base = self.config.base_url.rstrip("/") + "/"
		absolute = path.startswith(("http://", "https://"))
		url = (
			path if absolute else base + path.lstrip("/").replace(" ", "%20")
		)  # names of DocTypes have spaces
		if origin(url) != origin(base):
			raise errors.ConfigurationError(
				f"{self.config.name}: {self.redactor.text(url, 200)} is not on the host of base_url.",
				field="base_url",
			)
		return url

	def authenticate(self) -> AuthBase | None:
		"""Return the auth object for the next request; called for each request."""
		given = self.secrets.authorization() if self.config.auth_type == "Connected App" else None
		if given:
			self.redactor.add(given.partition(" ")[2])
			return HeaderAuth("Authorization", given)
		return static_auth(self.config, self.secrets.get)

	def renew_authentication(self, rejected: AuthBase | None) -> bool:
		"""Called once after a 401; return True if the request is worth repeating."""
		return False

	def parse(self, response: requests.Response) -> Any:
		"""Return the JSON body, None if empty; raises MalformedAnswer if it is not JSON."""
		if not response.content.strip():
			return None
		try:
			return read_json(response.content)
		except RecursionError:
			raise self._error(errors.MalformedAnswer, response, detail="It is nested too deeply.") from None
		except ValueError as error:
			raise self._error(errors.MalformedAnswer, response, detail=f"Not JSON: {error}") from None

	def _through_breaker(self, work: Callable[[], requests.Response]) -> requests.Response:
		self.breaker.before()
		try:
			response = work()
		except errors.ConnectorError as error:
			self.breaker.after(error)
			raise
		self.breaker.after(None)
		return response

	def _send(self, method: str, url: str, given: AuthBase | None, **options: Any) -> requests.Response:
		"""One attempt, and one more with renewed authentication after a 401."""
		auth = given or self.authenticate()
		response = self._exchange(method, url, auth, **options)
		if response.status_code == 401 and not given and self.renew_authentication(auth):
			response = self._exchange(method, url, self.authenticate(), **options)
		if response.status_code < 300:
			return response
		raise self._error(errors.error_class(response.status_code), response)

	def _exchange(self, method: str, url: str, auth: AuthBase | None, **options: Any) -> requests.Response:
		"""Send once, following redirects of safe methods within the origin."""
		for _ in range(_MAX_REDIRECTS + 1):
			if self._closed:  # while another thread was about to
				raise errors.ConfigurationError("The connector is closed.", method=method)
			self._await_budget(method, url)
			response = self._transport(method, url, auth, **options)
			if pause := pause_asked(response.headers, response.status_code):
				self.coordination.postpone(self.config.name, pause)
			location = response.headers.get("Location")
			if not (response.is_redirect and location and method in ("GET", "HEAD")):
				return response
			try:
				target = urljoin(url, location)
			except ValueError:
				raise self._error(
					errors.UnexpectedStatus, response, detail="It redirects to what is no URL."
				) from None
			if origin(target) != origin(url):
				raise self._error(
					errors.UnexpectedStatus, response, detail="It redirects to another host; not followed."
				)
			url, options = target, {**options, "params": None}
		raise errors.UnexpectedStatus("Too many redirects.", method=method, url=self.redactor.text(url))

	def _transport(
		self, method: str, url: str, auth: AuthBase | None, *, deadline: float | None = None, **options: Any
	) -> requests.Response:
		"""One exchange over the wire. deadline: seconds for all of it; ten read timeouts if None."""
		longest = deadline or max(self.config.read_timeout * 10, 60)
		until = time.monotonic() + longest
		context = {"method": method, "url": self.redactor.text(url, 300)}
		try:
			response = self.session.request(
				method,
				url,
				auth=auth or _no_auth,
				timeout=(min(self.config.connect_timeout, longest), min(self.config.read_timeout, longest)),
				allow_redirects=False,
				stream=True,
				**options,
			)
			with response:
				self._read(response, context, until)
			return response
		except requests.exceptions.ConnectTimeout as error:
			raise errors.ConnectionFailed(self._detail(error), **context) from None
		except requests.exceptions.Timeout as error:
			raise errors.RequestTimeout(self._detail(error), **context) from None
		except requests.exceptions.ConnectionError as error:
			kind = errors.ConnectionFailed if _never_connected(error) else errors.ConnectionBroken
			if _timed_out(error):
				kind = errors.RequestTimeout
			if REFUSED in str(error):
				kind = errors.AddressNotAllowed
			raise kind(self._detail(error), **context) from None
		except requests.exceptions.ChunkedEncodingError as error:
			raise errors.ConnectionBroken(self._detail(error), **context) from None
		except requests.exceptions.ContentDecodingError as error:
			raise errors.MalformedAnswer(self._detail(error), **context) from None
		except requests.exceptions.RequestException as error:
			raise errors.ConfigurationError(self._detail(error), field="base_url", **context) from None
		except ValueError:
			# From deep below, about a URL or header it cannot send; its text would quote the value.
			raise errors.ConfigurationError("The request cannot be sent as it is.", **context) from None

	def _read(self, response: requests.Response, context: dict[str, str], until: float) -> None:
		"""Read the body within the size limit and before the time `until`."""
		limit = int(self.config.max_response_mb * 1024 * 1024)
		chunks, size = [], 0
		for chunk in _arriving(response):
			size += len(chunk)
			if size > limit:
				raise errors.TooLarge(f"More than {self.config.max_response_mb:g} MB.", **context)
			if time.monotonic() > until:
				raise errors.RequestTimeout("The answer drips in too slowly.", **context)
			chunks.append(chunk)
		response._content, response._content_consumed = b"".join(chunks), True
		promised = response.headers.get("Content-Length", "")
		encoded = response.headers.get("Content-Encoding", "identity") != "identity"
		has_body = context["method"] != "HEAD" and response.status_code not in (204, 304)
		if has_body and not encoded and promised.isdigit() and int(promised) > size:
			raise errors.ConnectionBroken(f"{size} of {promised} bytes arrived.", **context)

	def _await_budget(self, method: str, url: str) -> None:
		"""Wait for a slot of the rate budget; raises RetryLater if it is too far away."""
		limit, period = self.config.rate_limit, self.config.rate_period
		interval = period / limit / _BUDGET_USED if limit else 0.0
		wait = self.coordination.reserve(self.config.name, interval, self.config.max_wait)
		if wait > self.config.max_wait:
			raise errors.RetryLater(wait, method=method, url=self.redactor.text(url, 300))
		if wait > 0:
			self.retry.sleep(wait)

	def _error(
		self, kind: type[errors.ConnectorError], response: requests.Response, detail: str = ""
	) -> errors.ConnectorError:
		body = response.content.decode("utf-8", "replace") if response._content_consumed else ""
		return kind(
			detail,
			method=response.request.method or "",
			url=self.redactor.text(response.url, 300),
			status=response.status_code,
			body=self.redactor.text(body, _SHOWN_BODY),
			retry_after=retry_after(response.headers.get("Retry-After")),
		)

	def _detail(self, error: Exception) -> str:
		"""Return the reason of a failure, without what urllib3 and requests wrap around it."""
		reason = getattr(error.args[0] if error.args else None, "reason", None) or error
		text = str(reason).rpartition("Failed to establish a new connection: ")[2]
		text = re.sub(r"^<?[\w.]*(Connection|Pool)\([^)]*\)[^:]*: ?|\[Errno -?\d+\] ", "", text)
		return self.redactor.text(text, 300)


def origin(url: str) -> tuple[str, str, int | None]:
	"""Return (scheme, host, port) of a URL. Raises ConfigurationError where it has none."""
	# What parsers read differently, one of them sends elsewhere: only what all read alike is a URL here. The
	# parser is the one that connects.
	if _AMBIGUOUS.search(url):
		raise errors.ConfigurationError(
			"The URL holds characters that do not belong in one.", field="base_url"
		)
	try:
		parts = parse_url(url)
	except LocationParseError:
		raise errors.ConfigurationError("The URL is not valid.", field="base_url") from None
	if parts.auth:
		raise errors.ConfigurationError(
			"The URL holds credentials; they belong into fields.", field="base_url"
		)
	scheme = parts.scheme or ""
	return scheme, (parts.host or "").lower(), parts.port or {"http": 80, "https": 443}.get(scheme)


def _arriving(response: requests.Response) -> Iterator[bytes]:
	"""Return a body as it arrives: waiting for full pieces, a server that drips would never be looked at."""
	raw = response.raw
	if not hasattr(raw, "read1") or raw.chunked:
		yield from response.iter_content(1024 if raw.chunked else _CHUNK)
		return
	try:
		while piece := raw.read1(_CHUNK, decode_content=True):
			yield piece
	except ProtocolError as error:
		raise requests.exceptions.ChunkedEncodingError(error) from error
	except DecodeError as error:
		raise requests.exceptions.ContentDecodingError(error) from error
	except ReadTimeoutError as error:
		raise requests.exceptions.ReadTimeout(error) from error


_AMBIGUOUS = re.compile(r"[\x00-\x20\\\x7f]")
_NOTHING_SENT = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError")


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
	"""Keeps requests from looking for credentials in the URL or in .netrc."""
	return request


def _never_connected(error: requests.exceptions.ConnectionError) -> bool:
	reason = getattr(error.args[0] if error.args else None, "reason", None)
	if type(reason).__name__ == "SSLError":
		return "CERTIFICATE_VERIFY_FAILED" in str(reason) or "Hostname mismatch" in str(reason)
	return type(reason).__name__ in _NOTHING_SENT


def _timed_out(error: requests.exceptions.ConnectionError) -> bool:
	return "Read timed out" in str(error)
