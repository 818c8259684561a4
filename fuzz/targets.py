"""The targets of fuzzing: each reads any bytes, and lets nothing out but a declared error.

Plain functions: a finding is a test of one line, and tests/test_fuzz.py keeps them alive without a fuzzer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from integration_hub.connectors import errors
from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.oauth2 import Token
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.pagination import PAGINATIONS
from integration_hub.connectors.rate_limit_headers import pause_asked
from integration_hub.connectors.rest import RestConnector
from integration_hub.connectors.retry import retry_after
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.conversions import CONVERSIONS
from integration_hub.sync.mapping import Mapper, MappingError
from integration_hub.webhooks.bodies import MalformedEvent, UnsupportedMedia, parse_body
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.schemes import SCHEMES, BadSignature, scheme_for
from tests.canned_responses import Answer, Canned, connector
from tests.test_connectors import Memory

_SCHEMES = sorted(SCHEMES)
_HEADERS = (
	"stripe-signature",
	"x-slack-request-timestamp",
	"x-slack-signature",
	"webhook-id",
	"webhook-timestamp",
	"webhook-signature",
	"x-hub-signature-256",
	"x-webhook-signature",
	"x-shopify-hmac-sha256",
	"x-frappe-webhook-signature",
	"x-twitter-webhooks-signature",
	"x-twilio-signature",
	"authorization",
	"content-type",
)
_ASKING = ("Retry-After", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Remaining", "RateLimit")
_LEADING = ("Link", "Location", "Retry-After", "Content-Type", "Content-Encoding", "Content-Length")
_STATUSES = (200, 200, 201, 204, 301, 302, 400, 401, 404, 410, 429, 500, 503)
_RECORD = {"id": 7, "name": "Ada", "city": None, "tags": ["a", {"b": 1}], "deep": {"er": [1, "2", 3.5]}}
_END = b"\xff"  # of a text


class _Bytes:
	"""Bytes, read as what is needed: the fuzzer learns which of them mean what."""

	def __init__(self, data: bytes):
		self._left = data

	def __bool__(self) -> bool:
		return bool(self._left)

	def number(self, below: int) -> int:
		first, self._left = self._left[:1], self._left[1:]
		return (first[0] if first else 0) % below

	def choice(self, values: tuple | list) -> object:
		return values[self.number(len(values))]

	def text(self) -> str:
		found, _, self._left = self._left.partition(_END)
		return found.decode("utf-8", "replace")

	def header(self) -> str:
		"""A header as a server hands it over: latin-1, on one line."""
		found, _, self._left = self._left.partition(_END)
		return found.decode("latin-1").replace("\r", "").replace("\n", "")

	def headers(self, names: tuple[str, ...], most: int = 4) -> dict[str, str]:
		return {str(self.choice(names)): self.header() for _ in range(self.number(most + 1))}

	def rest(self) -> bytes:
		found, self._left = self._left, b""
		return found


def signatures(data: bytes) -> None:
	"""No scheme takes what was guessed, and none fails in another way than it says."""
	read = _Bytes(data)
	scheme, headers = read.choice(_SCHEMES), read.headers(_HEADERS)
	request = Request("x", "POST", headers, read.rest(), "http://hub.example/webhooks/x")
	secret = "whsec_c2VjcmV0:x" if scheme == "Basic" else "whsec_c2VjcmV0"
	try:
		scheme_for(IntegrationConfig("x", webhook_scheme=scheme), {}).verify(request, [secret])
	except BadSignature:
		return
	except ConfigurationError as error:
		if error.field == "webhook_secret":  # it is no public key, no ARN
			return
		raise
	raise AssertionError(f"{scheme} took {headers}")


def bodies(data: bytes) -> None:
	"""A body is a payload, or refused with a reason word."""
	read = _Bytes(data)
	kind = read.choice(
		("", "application/json", "application/x-www-form-urlencoded", "text/plain", "a/b+json", "text/xml")
	)
	with suppress(MalformedEvent, UnsupportedMedia):
		assert isinstance(parse_body(read.rest(), str(kind)), dict | list)


def paths(data: bytes) -> None:
	"""A mapping's path is refused when it is saved, or looked up; a conversion fits, or does not."""
	read = _Bytes(data)
	conversion, argument, path = read.choice(CONVERSIONS), read.text(), read.text()
	if path_problem(path):
		return
	with suppress(MappingError):
		mapping = (FieldMapping(path, "name", str(conversion), argument),)
		stream = StreamConfig("s", id_path=path, updated_at_path=path, deleted_path=path, mapping=mapping)
		mapper = Mapper(stream, lambda moment: moment.isoformat())
		for look in (mapper.external_id, mapper.source_time, mapper.is_deleted):
			with suppress(MappingError):
				look(_RECORD)
		mapper.map(_RECORD, external_id="x")


def waits(data: bytes) -> None:
	"""What a server says of waiting is a number of seconds that somebody can wait."""
	read = _Bytes(data)
	status, headers = int(str(read.choice(_STATUSES))), read.headers(_ASKING)
	assert 0 <= pause_asked(headers, status) <= 24 * 3600
	seconds = retry_after(read.header())
	assert seconds is None or 0 <= seconds <= 7 * 24 * 3600
	Token.loads(read.text())


def pages(data: bytes) -> None:
	"""A fetch through any answers ends, with records or a declared error."""
	read = _Bytes(data)
	kind = str(read.choice(PAGINATIONS))
	answers = []
	for _ in range(1 + read.number(3)):
		status, headers = int(str(read.choice(_STATUSES))), read.headers(_LEADING, 2)
		answers.append(Answer(status, headers, read.text().encode()))
	options = {"page_size": 2, "page_size_param": "n", "page_param": "", "cursor_path": "", "more_path": ""}
	request = ListRequest("/list", records_path="data", pagination={"kind": kind, **options})
	adapter = Canned(answers, most=2000)
	with connector(RestConnector, adapter, Memory()) as client, suppress(errors.ConnectorError):
		for page in client.pages(request):
			assert all(isinstance(record, dict) for record in page.records)


TARGETS: dict[str, Callable[[bytes], None]] = {
	one.__name__: one for one in (signatures, bodies, paths, waits, pages)
}
# What a fuzzer begins with: it finds the rest by changing it.
SEEDS: dict[str, tuple[bytes, ...]] = {
	"signatures": (
		b"\x08\x01\x00t=1700000000,v1=00ff\xff{}",
		b"\x07\x03\x03msg_1\xff\x041700000000\xff\x05v1,AA==\xff{}",
		b"\x06\x02\x011531420618\xff\x02v0=00\xffa=b",
		b"\x00\x01\x0cBasic YTpi\xff",
	),
	"bodies": (b'\x00{"id": 1, "data": [1.5e3, null, "\\u00e9"]}', b"\x02a=b&c=%C3%A9&a=d"),
	"paths": (
		b"\x00\xfftags[?b > `0`].b | [0]",
		b"\x01\xffdeep.er[*].to_number(@)",
		b"\x02\xffjoin(',', sort(keys(@)))",
	),
	"waits": (
		b"\x0a\x01\x00Fri, 31 Dec 1999 23:59:59 GMT\xff120\xff{}",
		b"\x0a\x02\x010\xff\x021700000000\xff\xff",
		b'\x00\x01\x04"default";r=0;t=30\xff\xff{"access_token": "a", "expires_at": 1.0}',
	),
	"pages": (
		b'\x03\x02\x00\x00{"data": [{"id": 1}], "next_cursor": "b"}\xff\x00\x00{"data": []}\xff',
		b'\x04\x01\x00\x00{"data": [{"id": 1}], "next": "/list?page=2"}\xff\x00\x00{"data": []}\xff',
		b'\x05\x01\x00\x01\x00</list?p=2>; rel="next"\xff{"data": [{"id": 1}]}\xff',
	),
}
