"""One exchange over the wire: a request and its whole answer, within a size and a time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO, Any

import requests
from requests.auth import AuthBase
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError

from integration_hub.connectors import errors
from integration_hub.connectors.certificates import Certificates
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.deadline import deadline, within
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.ssrf_guard import REFUSED, GuardedAdapter

_CHUNK = 64 * 1024
_SHOWN = 64 * 1024  # bytes of a body in a file, for what looks at its beginning
_NOTHING_SENT = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError")


class Transport:
	"""Sends requests to one external system and reads their answers; what goes wrong is a ConnectorError.

	allowed_hosts: hosts that may be of a private network (see connectors.ssrf_guard). proxy_authorization: what the proxy
	is told, "" for nothing. certificates: whom to trust, and what to show to a server.
	"""

	def __init__(
		self,
		config: IntegrationConfig,
		redactor: Redactor,
		allowed_hosts: Iterable[str] = (),
		proxy_authorization: str = "",
		certificates: Certificates | None = None,
	) -> None:
		self.config, self.redactor = config, redactor
		self.session = requests.Session()
		for scheme in ("http://", "https://"):
			self.session.mount(scheme, GuardedAdapter(allowed_hosts, proxy_authorization, certificates))
		self.session.trust_env = False  # neither proxies nor .netrc of the machine decide where secrets go
		self.session.headers.update({"Accept": "application/json", "User-Agent": "integration-hub"})
		self.session.verify = config.verify_tls
		if config.proxy:
			self.session.proxies = {"http": config.proxy, "https": config.proxy}

	def close(self) -> None:
		"""Close the session's connections."""
		self.session.close()

	def exchange(
		self,
		method: str,
		url: str,
		auth: AuthBase | None,
		*,
		seconds: float | None = None,
		spooled: bool = False,
		**options: Any,
	) -> requests.Response:
		"""Send a request once; return its answer, the body read, redirects not followed.

		seconds: for all of it, from connecting to the last trailer; ten read timeouts if None. spooled: the body goes
		into a file, as it is transferred, at `spool` of the answer; its `content` is the beginning alone.
		"""
		longest = seconds or max(self.config.read_timeout * 10, 60)
		context = {"method": method, "url": self.redactor.text(url, 300)}
		with deadline(longest) as until:
			try:
				return self._exchange(method, url, auth, longest, context, options, spooled)
			except (requests.exceptions.RequestException, TimeoutError) as error:
				kind, detail = _kind(error), self._detail(error)
				if kind is errors.RequestTimeout and time.monotonic() >= until:
					detail = f"The answer drips in too slowly: it was not whole within {longest:g} s."
				field = {"field": "base_url"} if kind is errors.ConfigurationError else {}
				raise kind(detail, **field, **context) from None
			except ValueError:
				# From deep below, about a URL or header it cannot send; its text would quote the value.
				raise errors.ConfigurationError("The request cannot be sent as it is.", **context) from None

	def _exchange(
		self,
		method: str,
		url: str,
		auth: AuthBase | None,
		longest: float,
		context: dict[str, Any],
		options: dict[str, Any],
		spooled: bool,
	) -> requests.Response:
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
			self._read(response, context, spooled and response.status_code < 300)
		return response

	@property
	def limit(self) -> int:
		"""Return how many bytes a response may have."""
		return int(self.config.max_response_mb * 1024 * 1024)

	def _read(self, response: requests.Response, context: dict[str, Any], spooled: bool) -> None:
		"""Read the body within the size limit."""
		context = {**context, "status": response.status_code}
		spool, chunks, size = TemporaryFile() if spooled else None, [], 0  # noqa: SIM115 - the answer keeps it
		for chunk in _arriving(response, decoded=not spooled):
			size += len(chunk)
			if size > self.limit:
				raise errors.TooLarge(f"More than {self.config.max_response_mb:g} MB.", **context)
			within(None)  # what came in one piece may be unpacked in many
			spool.write(chunk) if spool else chunks.append(chunk)
		response._content, response._content_consumed = _beginning(spool) or b"".join(chunks), True
		response.spool, response.size = spool, size
		promised = response.headers.get("Content-Length", "")
		encoded = not spooled and response.headers.get("Content-Encoding", "identity") != "identity"
		has_body = context["method"] != "HEAD" and response.status_code not in (204, 304)
		if has_body and not encoded and promised.isdigit() and int(promised) > size:
			raise errors.ConnectionBroken(f"{size} of {promised} bytes arrived.", **context)

	def _detail(self, error: Exception) -> str:
		"""Return the reason of a failure, without what urllib3 and requests wrap around it."""
		reason = getattr(error.args[0] if error.args else None, "reason", None) or error
		text = str(reason).rpartition("Failed to establish a new connection: ")[2]
		text = re.sub(r"^<?[\w.]*(Connection|Pool)\([^)]*\)[^:]*: ?|\[Errno -?\d+\] ", "", text)
		if _PLAIN_HTTP in text:
			text = f"The server answers without TLS: is the address one of http, and not https? {text}"
		return self.redactor.text(text, 300)


def _kind(error: Exception) -> type[errors.ConnectorError]:
	"""Return the class of errors that an exchange which ended in `error` belongs to."""
	if isinstance(error, requests.exceptions.ConnectTimeout):
		return errors.ConnectionFailed
	if isinstance(error, requests.exceptions.Timeout | TimeoutError):
		return errors.RequestTimeout
	if isinstance(error, requests.exceptions.ConnectionError):
		if REFUSED in str(error):
			return errors.AddressNotAllowed
		if "Read timed out" in str(error):
			return errors.RequestTimeout
		if _is_insecure(error):
			return errors.InsecureConnection
		return errors.ConnectionFailed if _never_connected(error) else errors.ConnectionBroken
	if isinstance(error, requests.exceptions.ChunkedEncodingError):
		return errors.ConnectionBroken
	if isinstance(error, requests.exceptions.ContentDecodingError):
		return errors.MalformedAnswer
	return errors.ConfigurationError


_PLAIN_HTTP = "WRONG_VERSION_NUMBER"  # how OpenSSL calls an answer that is no TLS
_NOT_SECURE = ("CERTIFICATE_VERIFY_FAILED", "Hostname mismatch", _PLAIN_HTTP)


def _is_insecure(error: requests.exceptions.ConnectionError) -> bool:
	return any(words in str(error) for words in _NOT_SECURE)


def _never_connected(error: requests.exceptions.ConnectionError) -> bool:
	reason = getattr(error.args[0] if error.args else None, "reason", None)
	return type(reason).__name__ in _NOTHING_SENT


def _arriving(response: requests.Response, decoded: bool) -> Iterator[bytes]:
	"""Return a body as it arrives: waiting for full pieces, a server that drips would never be looked at.

	decoded: without the Content-Encoding.
	"""
	raw = response.raw
	if decoded and (not hasattr(raw, "read1") or raw.chunked):
		yield from response.iter_content(1024 if raw.chunked else _CHUNK)
		return
	try:
		if not hasattr(raw, "read1") or raw.chunked:
			yield from raw.stream(1024 if raw.chunked else _CHUNK, decode_content=False)
			return
		while piece := raw.read1(_CHUNK, decode_content=decoded):
			yield piece
	except ProtocolError as error:
		raise requests.exceptions.ChunkedEncodingError(error) from error
	except DecodeError as error:
		raise requests.exceptions.ContentDecodingError(error) from error
	except ReadTimeoutError as error:
		raise requests.exceptions.ReadTimeout(error) from error


def _beginning(spool: IO[bytes] | None) -> bytes:
	"""Return the first bytes of a file, which stands at its beginning then."""
	if not spool:
		return b""
	spool.seek(0)
	found = spool.read(_SHOWN)
	spool.seek(0)
	return found


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
	"""Keeps requests from looking for credentials in the URL or in .netrc."""
	return request
