"""HTTP as servers speak it: what they drip, how they say «wait», «no» and «elsewhere», in raw bytes over real sockets."""

from __future__ import annotations

import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
import redis
import requests
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors import BaseConnector, errors
from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.rate_limit_headers import asks_to_wait, pause_asked
from integration_hub.connectors.responses import complaint, loaded, refuses
from integration_hub.connectors.rest import RestConnector
from integration_hub.connectors.retry import retry_after, seconds_until
from integration_hub.connectors.urls import OtherOrigin, joined, redirected, with_query, without_parameter
from integration_hub.queues.pinned_connections import pinned_client
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.run import run_stream
from tests.test_connectors import FAST, LOCAL, Memory
from tests.tls import self_signed

Talk = Callable[[socket.socket], None]


@contextmanager
def raw_server(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[int]:
	"""A server that reads a request and then does what `talk` does with the connection."""
	listener = socket.create_server(("127.0.0.1", 0))
	stopped = threading.Event()

	def serve(connection: socket.socket) -> None:
		with suppress(OSError), connection:
			connection.settimeout(20)
			if tls:
				connection = tls.wrap_socket(connection, server_side=True)
			talk(connection)

	def accept() -> None:
		while not stopped.is_set():
			with suppress(OSError):
				threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

	threading.Thread(target=accept, daemon=True).start()
	try:
		yield listener.getsockname()[1]
	finally:
		stopped.set()
		listener.close()


def request_of(connection: socket.socket) -> bytes:
	"""Read a request without a body."""
	text = b""
	while b"\r\n\r\n" not in text:
		piece = connection.recv(4096)
		if not piece:
			raise OSError("closed")
		text += piece
	return text


def says(*answers: bytes) -> Talk:
	"""Answer the requests of a connection in turn, the last answer again and again."""

	def talk(connection: socket.socket) -> None:
		number = 0
		while True:
			request_of(connection)
			connection.sendall(answers[min(number, len(answers) - 1)])
			number += 1

	return talk


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
	lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
	lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
	return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def drips(before: bytes, drop: bytes, pause: float = 0.02) -> Talk:
	"""Send something, then a drop for ever."""

	def talk(connection: socket.socket) -> None:
		request_of(connection)
		connection.sendall(before)
		while True:
			connection.sendall(drop)
			time.sleep(pause)

	return talk


DRIPPING = {
	"status line": drips(b"HTTP/1.1 200 ", b"O"),
	"headers": drips(b"HTTP/1.1 200 OK\r\n", b"X"),
	"header lines": drips(b"HTTP/1.1 200 OK\r\nX-A:", b" a\r\n b", 0.2),
	"100 Continue": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
	"100 Continue, fast": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0),
	"103 Early Hints": drips(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
	"body": drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
	"body without a length": drips(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" "),
	"chunk size": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
	"chunk extension": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=", b"b"),
	"chunks": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
	"inside of a chunk": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\n", b" "),
	"trailers": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n"),
	"trailers, fast": drips(
		b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 100, 0
	),
	"one trailer": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: ", b"b"),
	"gzip": drips(
		b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\x03", b"n"
	),  # the name of a file, without an end
	"error body": drips(b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n", b" "),
}


def connector(port: int, *, scheme: str = "http", **options) -> BaseConnector:
	config = {"max_attempts": 1, "read_timeout": 5, **FAST, **options}
	base = f"{scheme}://127.0.0.1:{port}"
	return BaseConnector(IntegrationConfig("x", base_url=base, **config), Memory(), allowed_hosts=LOCAL)


def given_up(client: BaseConnector, seconds: float = 0.4, path: str = "/x") -> errors.ConnectorError:
	"""Return how a request with a deadline ends; fails where it ends much later than its deadline."""
	begun = time.monotonic()
	with client, pytest.raises(errors.ConnectorError) as caught:
		client._transport("GET", client.url(path), None, deadline=seconds)
	assert time.monotonic() - begun < seconds + 4
	return caught.value


@pytest.mark.parametrize("kind", DRIPPING)
@pytest.mark.parametrize("over", ["http", "https"])
def test_an_answer_is_whole_by_its_deadline_or_given_up(kind, over, tmp_path):
	tls = None
	if over == "https":
		tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		tls.load_cert_chain(*self_signed(tmp_path, "127.0.0.1"))
	with raw_server(DRIPPING[kind], tls) as port:
		error = given_up(connector(port, scheme=over, verify_tls=False))
	counted = "interim responses" in str(error)  # Python 3.14 gives up after a hundred of them by itself
	assert counted or (type(error) is errors.RequestTimeout and "too slowly" in str(error)), error
	assert (error.method, error.url) == ("GET", f"{over}://127.0.0.1:{port}/x")


def _refuses(connection: socket.socket) -> None:
	"""Answer whatever comes as a server of plain HTTP does."""
	connection.recv(4096)
	connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	connection.shutdown(socket.SHUT_WR)
	connection.recv(4096)


def test_a_connection_that_cannot_be_secure_is_not_tried_again(tmp_path):
	"""Neither a certificate that does not verify nor plain HTTP behind https mends itself within a minute."""
	tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	tls.load_cert_chain(*self_signed(tmp_path, "127.0.0.1"))
	for context, words in ((tls, "certificate verify failed"), (None, "one of http, and not https?")):
		with (
			raw_server(_refuses, context) as port,
			connector(port, scheme="https", max_attempts=3) as client,
		):
			waits: list[float] = []
			client.retry = replace(client.retry, sleep=waits.append)
			with pytest.raises(errors.InsecureConnection, match=words):
				client.get("/x")
			assert waits == []


def test_a_proxy_that_drips_is_given_up():
	with raw_server(drips(b"HTTP/1.1 200 OK\r\n", b"X")) as port:
		for base in ("http://127.0.0.1:1", "https://127.0.0.1:1"):
			config = IntegrationConfig("x", base_url=base, proxy=f"http://127.0.0.1:{port}", read_timeout=5)
			given_up(BaseConnector(config, Memory(), allowed_hosts=LOCAL))


def test_a_proxy_behind_tls_that_drips_is_given_up(tmp_path):
	tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	tls.load_cert_chain(*self_signed(tmp_path, "127.0.0.1"))
	with raw_server(drips(b"HTTP/1.1 200 OK\r\n", b"X"), tls) as port:
		for base in ("http://127.0.0.1:1", "https://127.0.0.1:1"):
			proxy = f"https://127.0.0.1:{port}"
			config = IntegrationConfig("x", base_url=base, proxy=proxy, read_timeout=5, verify_tls=False)
			given_up(BaseConnector(config, Memory(), allowed_hosts=LOCAL))


def test_a_handshake_that_drips_is_given_up():
	def talk(connection: socket.socket) -> None:
		connection.recv(4096)
		while True:
			connection.sendall(b"\x16")
			time.sleep(0.02)

	with raw_server(talk) as port:
		given_up(connector(port, scheme="https", connect_timeout=5))


def test_a_server_that_does_not_read_is_given_up():
	def talk(connection: socket.socket) -> None:
		while True:
			connection.recv(1000)
			time.sleep(0.05)

	with raw_server(talk) as port:
		client, begun = connector(port), time.monotonic()
		with client, pytest.raises(errors.ConnectorError):
			client._transport("POST", client.url("/x"), None, deadline=0.5, data=b" " * 50_000_000)
		assert time.monotonic() - begun < 5


def test_a_line_without_an_end_takes_no_memory():
	lines = drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 100_000, 0)
	with raw_server(lines) as port, connector(port) as client:
		with pytest.raises(errors.ConnectionBroken):
			client._transport("GET", client.url("/x"), None, deadline=30)


def test_a_token_endpoint_that_drips_is_given_up(monkeypatch):
	monkeypatch.setattr("integration_hub.connectors.oauth2._TOKEN_SECONDS", 0.4)
	with raw_server(drips(b"HTTP/1.1 200 OK\r\n", b"X")) as port:
		client, begun = oauth(port, max_attempts=1), time.monotonic()
		with client, pytest.raises(errors.RequestTimeout):
			client.authenticate()
		assert time.monotonic() - begun < 5


def test_interim_answers_are_passed_over_and_leave_nothing_for_the_next_request():
	hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
	processing = b"HTTP/1.1 102 Processing\r\n\r\n" * 3
	first = processing + hints + answer(body=b'{"n": 1}')
	with raw_server(says(first, answer(body=b'{"n": 2}'))) as port, connector(port) as client:
		assert [client.get("/x"), client.get("/x")] == [{"n": 1}, {"n": 2}]


# Pauses

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
	("text", "seconds"),
	[
		("5", 5),
		("5.0", 5),
		("5.2", 6),
		(" 5 ", 5),
		("+5", 5),
		("0.1", 1),
		(".5", 1),
		("5.", 5),
		("0", 0),
		("5, 9", 9),
		("99999999999", 7 * 86400),
		("9" * 18, 7 * 86400),
		(str(int(NOW.timestamp()) + 30), 30),
		(str((int(NOW.timestamp()) + 30) * 1000), 30),
		(f"{NOW.timestamp() + 29.4:.1f}", 30),
		(format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
		("Monday, 30-Nov-26 12:01:30 GMT", 90),
		("Mon Nov 30 12:01:30 2026", 90),
		("2026-11-30T12:01:30Z", 90),
		("2026-11-30T13:01:30+01:00", 90),
		("2026-11-30T12:01:29.100Z", 90),
		("Mon, 30 Nov 2020 12:00:00 GMT", 0),
		("-1", None),
		("-5.0", None),
		("soon", None),
		("5s", 5),
		("1s", 1),
		("20ms", 1),
		("1500 ms", 2),
		("6m0s", 360),
		("1h2m3.5s", 3724),
		("1 minute, 30 seconds", 90),
		("2 Hours", 7200),
		("5 apples", None),
		("s", None),
		("5s5", None),
		("1e3", None),
		("nan", None),
		("inf", None),
		("0x10", None),
		("1_000", None),
		("5,,9", None),
		("", None),
	],
)
def test_retry_after_is_rounded_up_in_any_writing(text, seconds):
	assert retry_after(text, NOW) == seconds


@given(st.text(max_size=30) | st.decimals(allow_nan=True).map(str) | st.datetimes().map(str))
def test_whatever_stands_in_a_header_is_a_pause_or_none(text):
	seconds = seconds_until(text)
	assert seconds is None or seconds >= 0


def in_seconds(seconds: float, unit: int = 1) -> str:
	return str(int((time.time() + seconds) * unit))


@pytest.mark.parametrize(
	("headers", "low", "high"),
	[
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "in an hour"}, 3000, 3600),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "in an hour, in ms"}, 3000, 3600),
		({"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "30"}, 30, 30),
		({"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "2.5"}, 3, 3),
		({"X-Rate-Limit-Remaining": "-1", "X-Rate-Limit-Reset": "30"}, 30, 30),
		({"X-Rate-Limit-Requests-Left": "0", "X-Rate-Limit-Time-Reset-Ms": "15000"}, 15, 15),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.25"}, 2, 2),
		({"RateLimit-Remaining": "0", "RateLimit-Reset": "7"}, 7, 7),
		({"RateLimit": '"burst";r=9;t=60, "day";r=0;t=90'}, 90, 90),
		({"RateLimit": "limit=10, remaining=0, reset=9"}, 9, 9),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2100-01-01T00:00:00Z"}, 86400, 86400),
		({"X-Rate-Limit-Remaining": "1", "X-Rate-Limit-Reset": "30"}, 0, 0),
		({"RateLimit-Remaining": "0", "RateLimit-Reset-After": "7"}, 7, 7),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "2", "X-RateLimit-Reset": "40"}, 2, 2),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "40", "X-RateLimit-Reset-After": "2"}, 2, 2),
		({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360, 360),
		({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "6m0s"}, 0, 0),
		(
			{
				"x-ratelimit-remaining-requests": "0",
				"x-ratelimit-remaining-tokens": "9",
				"x-ratelimit-reset-requests": "1s",
				"x-ratelimit-reset-tokens": "6m0s",
			},
			1,
			1,
		),
		({"Acme-RateLimit-Requests-Remaining": "0", "Acme-RateLimit-Requests-Reset": "soon"}, 80, 90),
		({"X-RateLimit-Remaining-Minute": "0", "X-RateLimit-Reset": "30"}, 30, 30),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-Milliseconds": "2500"}, 3, 3),
		({"RateLimit": '"burst";r=9;t=60'}, 0, 0),
	],
)
def test_budgets_are_read_as_they_are_written(headers, low, high):
	times = {
		"soon": in_seconds(90),
		"in an hour": in_seconds(3600),
		"in an hour, in ms": in_seconds(3600, 1000),
	}
	headers = {name: times.get(value, value) for name, value in headers.items()}
	assert low <= pause_asked(headers, 200) <= high
	assert asks_to_wait(headers) is (high > 0)


@pytest.mark.parametrize(
	("headers", "seconds"),
	[
		({"Retry-After": "1s"}, 1),
		({"retry-after-ms": "2500"}, 3),
		({"x-ms-retry-after-ms": "2500"}, 3),
		({"X-Retry-After": "9"}, 9),
		({"X-RateLimit-Retry-After": "9"}, 9),
		({"X-Rate-Limit-Retry-After-Seconds": "9"}, 9),
		({"Retry-After": "1", "retry-after-ms": "20"}, 1),
		({"Retry-After": "soon", "retry-after-ms": "4000"}, 4),
		({"X-RateLimit-Reset": "30"}, 30),
		({"RateLimit-Reset": "30", "RateLimit-Remaining": "4"}, 0),
		({"Retry-After-Never": "x", "X-RateLimit-Reset": "x"}, 0),
	],
)
def test_what_a_429_asks_for_is_read_in_common_spellings(headers, seconds):
	assert pause_asked(headers, 429) == seconds
	assert asks_to_wait({**headers, "Retry-After": headers.get("Retry-After", "1")})


NAMES = st.builds(
	"-".join,
	st.lists(
		st.sampled_from(
			[
				"X",
				"Rate",
				"Limit",
				"RateLimit",
				"Remaining",
				"Left",
				"Reset",
				"After",
				"Ms",
				"Retry",
				"Tokens",
				"At",
			]
		),
		min_size=1,
		max_size=6,
	),
)


@given(
	st.dictionaries(
		NAMES, st.text(max_size=20) | st.integers().map(str) | st.sampled_from(["0", "6m0s", "1e9", "-1"])
	),
	st.sampled_from([200, 403, 429, 503]),
)
def test_whatever_headers_say_is_a_pause_of_a_day_at_most(headers, status):
	assert 0 <= pause_asked(headers, status) <= 86_400
	assert asks_to_wait(headers) in (True, False)


@given(
	st.integers(1, 86_400 * 1000),
	st.sampled_from(["{s}", "{s}s", "{ms}ms", "{m}m{rest}s", "{s} seconds", "{ms} milliseconds"]),
)
def test_a_pause_is_the_same_in_each_spelling(ms, spelling):
	seconds = ms / 1000
	written = spelling.format(s=f"{seconds:.3f}", ms=ms, m=int(seconds // 60), rest=f"{seconds % 60:.3f}")
	assert abs(retry_after(written) - math.ceil(seconds)) <= 1, "a sum of parts may be a hair more"
	assert pause_asked({"retry-after-ms": str(ms)}, 429) == math.ceil(seconds)


@pytest.mark.parametrize(
	"headers",
	[
		{"Retry_After": "0"},
		{"X_RateLimit_Remaining": "0"},
		{"X_Rate_Limit_Remaining": "0", "X_Rate_Limit_Reset": "0"},
	],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_403_that_is_a_rate_limit_is_repeated(headers, method):
	with raw_server(says(answer(403, **headers), answer(body=b'{"n": 1}'))) as port:
		with connector(port, max_attempts=3) as client:
			assert client.request(method, "/x") == {"n": 1}


def test_a_403_that_says_so_in_its_body_is_a_rate_limit():
	body = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'
	with raw_server(says(answer(403, body), answer())) as port, connector(port, max_attempts=2) as client:
		assert client.get("/x") == {}


def test_a_403_with_a_long_pause_gives_the_worker_back():
	with raw_server(says(answer(403, Retry_After="900"))) as port, connector(port) as client:
		with pytest.raises(errors.RetryLater) as caught:
			client.get("/x")
	assert caught.value.seconds == 900 and caught.value.url


def test_a_403_that_is_a_refusal_stays_one():
	body = b'{"message": "Only owners may change a rate limit"}'
	refused = answer(403, body, X_RateLimit_Remaining="17", X_RateLimit_Reset="30")
	with raw_server(says(refused)) as port, connector(port, max_attempts=3) as client:
		with pytest.raises(errors.AccessDenied, match="Only owners may change"):
			client.get("/x")


@pytest.mark.parametrize("status", [509, 520, 521, 522, 523, 524, 527, 529, 530])
def test_what_stands_before_a_system_is_repeated_where_that_is_safe(status):
	with raw_server(says(answer(status), answer(body=b'{"n": 1}'))) as port:
		with connector(port, max_attempts=2) as client:
			assert client.get("/x") == {"n": 1}
	with raw_server(says(answer(status), answer())) as port, connector(port, max_attempts=2) as client:
		with pytest.raises(errors.ServerError):
			client.post("/x", json={})


# Tokens


def oauth(port: int, grant: str = "Client Credentials", **options) -> OAuth2Connector:
	config = IntegrationConfig(
		"x",
		base_url=f"http://127.0.0.1:{port}",
		token_url=f"http://127.0.0.1:{port}/token",
		auth_type=f"OAuth2 {grant}",
		client_id="c",
		**{**FAST, "max_attempts": 3, **options},
	)
	return OAuth2Connector(
		config, Memory(client_secret="s3cret", refresh_token="r3fresh"), allowed_hosts=LOCAL
	)


TOKEN = answer(body=b'{"access_token": "t0ken", "token_type": "bearer"}', Content_Type="application/json")


def in_turn(*answers: bytes) -> Talk:
	"""Answer requests in turn, whatever connection they come on; bodies are read."""
	left = list(answers)

	def talk(connection: socket.socket) -> None:
		while True:
			head = request_of(connection)
			length = next((line for line in head.lower().split(b"\r\n") if b"content-length:" in line), b":0")
			wanted = int(length.split(b":")[1]) - len(head.partition(b"\r\n\r\n")[2])
			while wanted > 0:
				wanted -= len(connection.recv(wanted))
			connection.sendall(left.pop(0) if len(left) > 1 else left[0])

	return talk


@pytest.mark.parametrize("grant", ["Client Credentials", "Refresh Token"])
@pytest.mark.parametrize("status", [429, 503, 403])
def test_a_busy_token_endpoint_is_asked_again(grant, status):
	busy = answer(status, b'{"error": "slow_down"}', Retry_After="0")
	with raw_server(in_turn(busy, busy, TOKEN)) as port, oauth(port, grant) as client:
		assert client.authenticate()._value == "Bearer t0ken"


@pytest.mark.parametrize(
	("status", "kind"), [(429, errors.RateLimited), (503, errors.ServerError), (502, errors.ServerError)]
)
def test_a_token_endpoint_that_stays_busy_says_nothing_of_credentials(status, kind):
	with raw_server(in_turn(answer(status, b"<html><title>Busy</title>"))) as port, oauth(port) as client:
		with pytest.raises(kind, match="token endpoint cannot answer") as caught:
			client.get("/x")
	assert "Busy" in str(caught.value) and caught.value.status == status and "/token" in caught.value.url


def test_a_rotating_token_is_not_sent_twice_where_it_may_have_been_used():
	with raw_server(in_turn(answer(502), TOKEN)) as port, oauth(port, "Refresh Token") as client:
		with pytest.raises(errors.ServerError):
			client.authenticate()


@pytest.mark.parametrize(
	("status", "body", "words"),
	[
		(400, b'{"error": "invalid_client"}', "invalid_client"),
		(401, b'{"error": "invalid_grant", "error_description": "It has expired"}', "It has expired"),
		(401, b'{"message": "No such client"}', "No such client"),
		(400, b'{"errors": ["Bad scope"]}', "Bad scope"),
		(400, b'{"errors": [{"detail": "Bad scope"}]}', "Bad scope"),
		(400, b'{"error": {"code": 17, "message": "Locked out"}}', "Locked out"),
		(200, b'{"error": "bad_verification_code"}', "bad_verification_code"),
		(200, b'{"message": "No such client"}', "No such client"),
		(403, b"<html><title>Forbidden by WAF</title></html>", "Forbidden by WAF"),
		(401, b'{"error": "s3cret is wrong"}', "[redacted] is wrong"),
	],
)
def test_the_words_of_a_refused_token_request_are_shown(status, body, words):
	with raw_server(in_turn(answer(status, body))) as port, oauth(port) as client:
		with pytest.raises(errors.AuthenticationFailed) as caught:
			client.authenticate()
	assert words in str(caught.value) and "s3cret" not in str(caught.value) + caught.value.body
	assert caught.value.status == status


def test_a_login_page_is_no_token():
	page = answer(body=b"<!doctype html><title>Sign in</title>", Content_Type="text/html")
	with raw_server(in_turn(page)) as port, oauth(port) as client:
		with pytest.raises(errors.MalformedAnswer, match="An HTML page titled “Sign in”"):
			client.authenticate()


# URLs


@pytest.mark.parametrize(
	("params", "query"),
	[
		({"status[]": ["open", "closed"]}, "status%5B%5D=open&status%5B%5D=closed"),
		({"$filter": "name eq 'a b'"}, "%24filter=name%20eq%20%27a%20b%27"),
		({"a": "1+1", "b": "ü", "c": ""}, "a=1%2B1&b=%C3%BC&c="),
		({"a": None, "b": 0}, "b=0"),
		({"a": []}, ""),
		([("a", 1), ("a", 2)], "a=1&a=2"),
		(None, ""),
	],
)
def test_a_query_is_written_so_that_every_server_reads_it(params, query):
	assert with_query("http://x/a", params) == f"http://x/a?{query}".rstrip("?")
	assert with_query("http://x/a?z=1#f", params).startswith("http://x/a?z=1")


def test_a_streams_parameters_may_have_a_name_twice():
	stream = StreamConfig("s", params="status[]=open\nstatus[]=closed\n q = a b \nempty=\nnonsense")
	assert stream.query == {"status[]": ["open", "closed"], "q ": " a b", "empty": ""}


def test_spaces_and_repeated_names_arrive_as_they_are_meant():
	seen: list[bytes] = []

	def talk(connection: socket.socket) -> None:
		while True:
			seen.append(request_of(connection).split(b"\r\n")[0])
			connection.sendall(answer())

	with raw_server(talk) as port:
		secrets = Memory(secret="k y")
		config = IntegrationConfig(
			"x", base_url=f"http://127.0.0.1:{port}", auth_type="API Key Query", api_key_name="key"
		)
		with BaseConnector(config, secrets, allowed_hosts=LOCAL) as client:
			client.get("a b", params={"s[]": ["x", "y"], "f": "a b"})
			client.get(f"http://127.0.0.1:{port}/n?f=a b&g=%20&flag&key=old")
	assert seen == [
		b"GET /a%20b?s%5B%5D=x&s%5B%5D=y&f=a%20b&key=k%20y HTTP/1.1",
		b"GET /n?f=a%20b&g=%20&flag&key=k%20y HTTP/1.1",
	]


@pytest.mark.parametrize(
	("base", "link", "found"),
	[
		("https://a.example/api", "http://a.example/api?page=2", "https://a.example/api?page=2"),
		("http://a.example/api", "https://a.example/api?page=2", "http://a.example/api?page=2"),
		("https://a.example", "http://a.example:80/x", "https://a.example/x"),
		("https://a.example", "http://a.example:443/x", "https://a.example/x"),
		("http://a.example:8000", "https://a.example:8000/x", "http://a.example:8000/x"),
		("https://a.example", "https://a.example:443/x", "https://a.example:443/x"),
		("https://a.example", "https://a.example./x", "https://a.example/x"),
		("https://a.example", "HTTPS://A.EXAMPLE/x", "HTTPS://A.EXAMPLE/x"),
		("https://bücher.example", "https://xn--bcher-kva.example/x", "https://xn--bcher-kva.example/x"),
		("https://a.example", "http://a.example?a b", "https://a.example?a%20b"),
	],
)
def test_a_link_on_the_same_host_is_followed_over_the_scheme_of_the_base_url(base, link, found):
	assert joined(base, link) == found


@pytest.mark.parametrize(
	("base", "link", "what"),
	[
		("https://a.example", "https://b.example/x", "its host is b.example instead of a.example"),
		("https://a.example", "https://a.example:8443/x", "its port is 8443 instead of 443"),
		("http://a.example:8000", "https://a.example/x", "its port is 443 instead of 8000"),
		("https://a.example", "http://b.example:81/x", "its host is b.example .* and its port is 81"),
		("https://a.example", "http://a.example:0/x", "its port is 0"),
		("https://a.example", "https://a.example.evil.example/x", "its host"),
	],
)
def test_what_leads_elsewhere_is_refused_and_says_what_differs(base, link, what):
	with pytest.raises(OtherOrigin, match=f"not on the host of base_url: {what}"):
		joined(base, link)


@pytest.mark.parametrize(
	"link", ["http://a.example\\@b.example/", "http://a.example\t/", "http://u:p@a.example/", "http://a b/x"]
)
def test_a_url_that_parsers_may_read_differently_stays_refused(link):
	with pytest.raises(errors.ConfigurationError):
		joined("http://a.example", link)


def test_a_redirect_over_another_scheme_is_followed_or_explained():
	assert redirected("https://a.example/x", "http://a.example/x/") == "https://a.example/x/"
	with pytest.raises(OtherOrigin, match=r"asks for https://a\.example instead of http://a\.example"):
		redirected("http://a.example/x", "https://a.example/x")
	assert redirected("http://a.example/x", "/x") == "http://a.example/x"  # it has set a cookie


def test_a_parameter_is_taken_out_and_the_rest_stays_as_it_is_written():
	assert without_parameter("http://x/a?k=1&b=%20+;c&K=2&%6B=3#f", "k") == "http://x/a?b=%20+;c&K=2#f"
	assert without_parameter("http://x/a?k=1", "k") == "http://x/a"


# Credentials


@pytest.mark.parametrize(
	("username", "secret", "sent"),
	[("sk_key", "", b"c2tfa2V5Og=="), ("", "pass", b"OnBhc3M="), ("u", "p", b"dTpw")],
)
def test_basic_takes_an_empty_user_or_password(username, secret, sent):
	seen: list[bytes] = []

	def talk(connection: socket.socket) -> None:
		seen.append(request_of(connection))
		connection.sendall(answer(400, f"no {username}:{secret} ".encode() + sent))

	with raw_server(talk) as port:
		config = IntegrationConfig(
			"x", base_url=f"http://127.0.0.1:{port}", auth_type="Basic", username=username
		)
		assert not integration_problems(config, {"secret": secret})
		with BaseConnector(config, Memory(secret=secret), allowed_hosts=LOCAL) as client:
			with pytest.raises(errors.InvalidRequest) as caught:
				client.get("/x")
	assert b"authorization: basic " + sent.lower() in seen[0].lower()
	if "" in (username, secret):
		assert "sk_key" not in caught.value.body and sent.decode() not in caught.value.body


def test_basic_without_both_is_no_setting():
	config = IntegrationConfig("x", base_url="http://x", auth_type="Basic")
	assert [field for field, _ in integration_problems(config, {})] == ["username"]


# Answers


def answered(body: bytes, content_type: str = "", status: int = 200) -> requests.Response:
	response = requests.Response()
	response.status_code, response._content, response._content_consumed = status, body, True
	response.headers["Content-Type"] = content_type
	return response


@pytest.mark.parametrize(
	("body", "content_type"),
	[
		('{"a": "Müller"}'.encode("latin-1"), "application/json; charset=ISO-8859-1"),
		('{"a": "Müller"}'.encode("latin-1"), 'text/plain; Charset="iso-8859-1"'),
		('{"a": "Müller"}'.encode(), "application/json"),
		('{"a": "Müller"}'.encode(), "text/html"),
		('{"a": "Müller"}'.encode("utf-8-sig"), "application/json"),
		('{"a": "Müller"}'.encode("utf-8-sig"), "application/json; charset=utf-8"),
		('{"a": "Müller"}'.encode("utf-8-sig"), "application/json; charset=iso-8859-1"),
		('{"a": "Müller"}'.encode("utf-16"), "application/json; charset=utf-16"),
		('{"a": "Müller"}'.encode("utf-16-le"), "application/json; charset=utf-16le"),
		('{"a": "Müller"}'.encode("utf-16"), "application/json"),
		('{"a": "Müller"}'.encode("cp1252"), "application/json; charset=windows-1252"),
	],
)
def test_a_body_is_read_in_the_charset_it_declares(body, content_type):
	assert loaded(answered(body, content_type)) == {"a": "Müller"}


@pytest.mark.parametrize(
	"charset", ["klingon", "zip", "unicode-escape", "idna", "punycode", "utf-8\0", "hex", "x" * 500]
)
def test_a_charset_that_is_none_is_a_declared_error(charset):
	with pytest.raises(ValueError, match="charset"):
		loaded(answered(b'{"a": "\\u00fc"}', f"application/json; charset={charset}"))


def test_bytes_that_are_not_what_they_are_declared_to_be_are_a_declared_error():
	for content_type in (
		"application/json; charset=utf-8",
		"application/json",
		"application/json; charset=ascii",
	):
		with pytest.raises(ValueError):
			loaded(answered('{"a": "Müller"}'.encode("latin-1"), content_type))


@pytest.mark.parametrize(
	("body", "failed"),
	[
		({"ok": False, "error": "no"}, True),
		({"success": False}, True),
		({"success": "false"}, True),
		({"Success": 0}, True),
		({"status": "error", "message": "no"}, True),
		({"code": 401, "message": "token expired", "data": None}, True),
		({"code": 40001, "msg": "bad sign"}, True),
		({"status": "404"}, True),
		({"code": 0, "msg": "success"}, False),
		({"code": 200}, False),
		({"status": 200}, False),
		({"code": "500 EUR"}, False),
		({"stat": "fail"}, True),
		({"error": {"code": 5}}, True),
		({"errors": [{"message": "no"}], "data": None}, True),
		({"error": "not found"}, True),
		({"errcode": 40013}, True),
		({"ok": True, "error": None, "errors": []}, False),
		({"error": False, "errcode": 0, "status": "active"}, False),
		({"error": "", "errors": {}, "success": True}, False),
		({"data": []}, False),
		([], False),
		(None, False),
	],
)
def test_a_success_that_says_within_that_it_failed(body, failed):
	assert refuses(body) is failed


@pytest.mark.parametrize(
	("body", "words"),
	[
		({"message": "No"}, "No"),
		({"error": {"message": "No", "code": 3}}, "No"),
		({"errors": {"email": ["is invalid"]}}, "email: is invalid"),
		({"errors": [{"message": "No"}, {"message": "Never"}]}, "No: Never"),
		({"errorMessages": ["No"], "errors": {}}, "No"),
		({"fault": {"faultstring": "No"}}, "No"),
		({"detail": [{"loc": ["a"], "msg": "missing"}]}, "missing"),
		({"Error": "No"}, "No"),
		({"data": []}, ""),
		({"error": True}, ""),
		(None, ""),
	],
)
def test_the_words_of_an_error_are_found_in_any_shape(body, words):
	assert complaint(body) == words


def test_words_are_short_whatever_is_sent():
	deep: dict = {"error": "x"}
	for _ in range(500):
		deep = {"error": [deep, "y" * 10_000]}
	assert len(complaint(deep)) < 300


LIST = {
	"endpoint": "/x",
	"records_path": "data",
	"pagination": {
		"kind": "None",
		"page_size": 10,
		"page_size_param": "",
		"page_param": "",
		"cursor_path": "",
		"more_path": "",
	},
}


def fetched(*answers: bytes, **changes) -> list[dict]:
	"""Return the records of a list, whose requests are answered in turn."""
	pagination = {**LIST["pagination"], **changes.pop("pagination", {})}
	with raw_server(in_turn(*answers)) as port:
		config = IntegrationConfig(
			"x", base_url=f"http://127.0.0.1:{port}", auth_type="Bearer", max_attempts=1
		)
		with RestConnector(config, Memory(secret="s3cret"), allowed_hosts=LOCAL) as client:
			request = ListRequest(**{**LIST, "pagination": pagination, **changes})
			return [record for page in client.pages(request) for record in page.records]


@pytest.mark.parametrize(
	("body", "kind", "words"),
	[
		(b'{"items": [], "total": 0}', errors.MalformedAnswer, "the response has the keys items, total"),
		(
			b'{"data": {"rows": []}}',
			errors.MalformedAnswer,
			"there is no list at this path; the response has the keys data",
		),
		(b"[1]", errors.MalformedAnswer, "the response is a list of 1"),
		(b'{"data": [1]}', errors.MalformedAnswer, "a record is not an object"),
		(
			b'{"ok": false, "error": "s3cret is not_authed"}',
			errors.RefusedWithin,
			r"\[redacted\] is not_authed",
		),
		(b'{"ok": false, "error": "not_authed", "data": []}', errors.RefusedWithin, "not_authed"),
		(b'{"data": null, "errors": [{"message": "Field x"}]}', errors.RefusedWithin, "Field x"),
		(b'{"data": [], "success": false, "msg": "Quota"}', errors.RefusedWithin, "Quota"),
		(
			b"<!DOCTYPE html><html><head><title>Sign &amp;\nin</title>",
			errors.MalformedAnswer,
			"page titled “Sign & in”",
		),
		(b"<html><body>s3cret", errors.MalformedAnswer, "An HTML page without a title"),
		(b"nonsense", errors.MalformedAnswer, "Not JSON"),
		(b'{"a":' * 20_000 + b"1" + b"}" * 20_000, errors.MalformedAnswer, "nested too deeply"),
	],
)
def test_an_error_about_a_list_says_what_was_asked_and_what_came(body, kind, words):
	with pytest.raises(kind, match=words) as caught:
		fetched(answer(body=body))
	error = caught.value
	assert (error.method, error.status) == ("GET", 200) and error.url.endswith("/x")
	assert error.body and len(error.body) < 600 and "s3cret" not in error.body + str(error)


def test_a_success_with_records_is_one_whatever_stands_beside_them():
	assert fetched(answer(body=b'{"data": [{"id": 1}], "errors": [{"message": "other"}]}')) == [{"id": 1}]
	assert fetched(answer(body=b'{"data": [], "error": null, "ok": true}')) == []


@pytest.mark.parametrize(
	("pagination", "body"),
	[
		(
			{"kind": "Cursor", "cursor_path": "next"},
			b'{"data": [{"id": 1, "title": "A word"}], "next": {"a": 1}}',
		),
		({"kind": "Cursor", "cursor_path": "next", "more_path": "more"}, b'{"data": [], "more": true}'),
		({"kind": "Next Link", "cursor_path": "next"}, b'{"data": [{"id": 1}], "next": 17}'),
	],
)
def test_an_error_about_the_next_page_says_where_it_stood(pagination, body):
	with pytest.raises(errors.MalformedAnswer) as caught:
		fetched(answer(body=body), pagination=pagination)
	assert caught.value.url and caught.value.status == 200 and caught.value.body
	assert "A word" not in str(caught.value)


def test_one_failure_stays_one_whatever_the_answer_says_with_it():
	def failed(number: bytes) -> errors.ConnectorError:
		with raw_server(says(answer(422, b'{"message": "Request %s failed"}' % number))) as port:
			with connector(port) as client, pytest.raises(errors.InvalidRequest) as caught:
				client.get("/x")
		return caught.value

	first, second = failed(b"abc"), failed(b"xyz")
	assert "Request abc failed" in str(first) and "abc" not in first.distinct
	assert first.distinct.partition(":")[0] == second.distinct.partition(":")[0]


# What nobody needs


def pages_then(beyond: bytes, count: int, seen: list[int]) -> Talk:
	"""Answer pages of two records each, and something else for those beyond `count`."""

	def talk(connection: socket.socket) -> None:
		while True:
			number = int(request_of(connection).partition(b"page=")[2].partition(b"&")[0].split(b" ")[0])
			seen.append(number)
			records = b'{"id": %d}, {"id": %d}' % (2 * number, 2 * number + 1)
			more = b"true" if number < count else b"false"
			page = answer(body=b'{"data": [%s], "more": %s}' % (records, more))
			connection.sendall(page if number <= count else beyond)

	return talk


@pytest.mark.parametrize("beyond", [answer(500), answer(429, Retry_After="0"), answer(404), b"", answer(401)])
def test_lanes_beyond_the_end_are_neither_repeated_nor_counted(beyond):
	seen: list[int] = []
	coordination = LocalCoordination()
	with raw_server(pages_then(beyond, 10, seen)) as port:
		config = IntegrationConfig("x", base_url=f"http://127.0.0.1:{port}", breaker_threshold=3, **FAST)
		pagination = {**LIST["pagination"], "kind": "Page Number", "page_param": "page", "more_path": "more"}
		request = ListRequest(**{**LIST, "pagination": pagination, "lanes": 8})
		with RestConnector(config, Memory(), coordination, allowed_hosts=LOCAL) as client:
			found = [record["id"] for page in client.pages(request) for record in page.records]
			assert client.breaker.state()[0] == "Closed" and not client.breaker._failures()
	assert found == list(range(2, 22))
	assert len([number for number in seen if number > 10]) <= 7 and len(seen) == len(set(seen))


def test_lanes_beyond_the_end_do_not_wait_for_a_budget_that_nobody_needs():
	seen: list[int] = []
	with raw_server(pages_then(answer(500), 2, seen)) as port:
		config = IntegrationConfig(
			"x", base_url=f"http://127.0.0.1:{port}", rate_limit=2, rate_period=10, **FAST
		)
		pagination = {**LIST["pagination"], "kind": "Page Number", "page_param": "page", "more_path": "more"}
		request = ListRequest(**{**LIST, "pagination": pagination, "lanes": 8})
		begun = time.monotonic()
		with RestConnector(config, Memory(), allowed_hosts=LOCAL) as client:
			assert len(list(client.pages(request))) == 2
	assert time.monotonic() - begun < 20 and len(seen) <= 4


def test_a_fault_of_a_page_that_is_needed_is_repeated_and_counted():
	failed: list[int] = []

	def talk(connection: socket.socket) -> None:
		while True:
			number = int(request_of(connection).partition(b"page=")[2].partition(b" ")[0])
			if number == 3 and len(failed) < 2:
				failed.append(number)
				connection.sendall(answer(503))
				continue
			more = b"true" if number < 5 else b"false"
			connection.sendall(answer(body=b'{"data": [{"id": %d}], "more": %s}' % (number, more)))

	told: list[str] = []
	with raw_server(talk) as port:
		config = IntegrationConfig("x", base_url=f"http://127.0.0.1:{port}", **FAST)
		pagination = {**LIST["pagination"], "kind": "Page Number", "page_param": "page", "more_path": "more"}
		for lanes, ahead in ((4, False), (1, True), (1, False)):
			failed.clear()
			told.clear()
			request = ListRequest(**{**LIST, "pagination": pagination, "lanes": lanes, "ahead": ahead})
			with RestConnector(config, Memory(), allowed_hosts=LOCAL) as client:
				client.report_pauses(lambda text: told.append(f"{threading.current_thread().name}: {text}"))
				found = [record["id"] for page in client.pages(request) for record in page.records]
			assert found == [1, 2, 3, 4, 5] and len(failed) == 2
			assert len(told) == 2 and all(text.startswith("MainThread: Server error") for text in told)


# Silence


def test_an_unreachable_host_is_told_of_before_each_pause(make_runtime, crm):
	runtime = make_runtime()
	crm.stop()
	said: list[str] = []
	runtime.watcher = lambda run: said.append(run.waiting) if run.waiting else None
	assert run_stream(runtime, "customers-full")["status"] == "Failed"
	assert [re.search(r"Attempt \d of 5 in \d+ s", text)[0][:14] for text in said] == [
		f"Attempt {number} of 5" for number in (2, 3, 4, 5)
	]
	assert all("Connection failed" in text and crm.url in text for text in said)


def test_the_command_line_says_what_it_waits_for(make_runtime, crm, tmp_path):
	from click.testing import CliRunner

	from integration_hub.commands import integration_hub

	make_runtime().close()
	crm.stop()
	for command in (
		["sync", "customers-full"],
		["sync", "--dry-run", "customers-full"],
		["preview", "customers-full"],
	):
		result = CliRunner().invoke(integration_hub, ["--config", str(tmp_path / "hub.toml"), *command])
		assert "Attempt 2 of 5 in 0 s." in result.output and "Connection failed" in result.output, command


@pytest.mark.parametrize("over", ["redis", "rediss"])
@pytest.mark.parametrize("drop", [b"+", b"$9", b" "])
def test_a_queues_redis_that_drips_is_given_up(over, drop, tmp_path, monkeypatch):
	def talk(connection: socket.socket) -> None:
		connection.recv(4096)
		connection.sendall(b"+")
		while True:
			connection.sendall(drop)
			time.sleep(0.02)

	tls = None
	if over == "rediss":
		tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		tls.load_cert_chain(*self_signed(tmp_path, "127.0.0.1"))
	monkeypatch.setattr("integration_hub.queues.redacting_client._ANSWER_SECONDS", 0.4)
	with raw_server(talk, tls) as port:
		options = "?ssl_cert_reqs=none" if tls else ""
		client = pinned_client(f"{over}://127.0.0.1:{port}/0{options}", LOCAL, socket_timeout=5)
		begun = time.monotonic()
		with pytest.raises(redis.TimeoutError):
			client.ping()
		with pytest.raises(redis.TimeoutError), client.pipeline() as pipe:
			pipe.lrem("a", 1, "b").lrem("a", 1, "c").execute()
		assert time.monotonic() - begun < 6
