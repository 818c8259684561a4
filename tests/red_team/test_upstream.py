"""Attacks: «an answer ends at Largest Response and at a deadline», «a request never leaves its origin», by the external system.

`tests/test_http.py` drips each part of an answer; here a system lies about its answer's frame, or leads elsewhere.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from integration_hub.connectors import errors
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.rest import RestConnector
from tests.test_connectors import Memory

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
	"""Serve one answer to whatever is asked, then close; give the address and what was asked."""
	with closing(socket.create_server(("127.0.0.1", 0))) as server:
		asked: list[bytes] = []

		def serve() -> None:
			while True:
				try:
					connection, _ = server.accept()
				except OSError:
					return
				with connection:
					connection.settimeout(10)
					try:
						asked.append(connection.recv(65536))
						connection.sendall(answer)
					except OSError:
						continue

		threading.Thread(target=serve, daemon=True).start()
		yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
		server.shutdown(socket.SHUT_RDWR)


def call(url: str) -> object:
	config = IntegrationConfig(
		"x", base_url=url, max_attempts=1, read_timeout=3, max_response_mb=1, auth_type="Bearer"
	)
	secrets = Memory(secret="s3cret-value")
	with RestConnector(config, secrets, LocalCoordination(), allowed_hosts=["127.0.0.1:*"]) as connector:
		return connector.get("/x")


LIES = {
	"shorter than it says": OK + b"Content-Length: 100\r\n\r\n{}",
	"an endless length": OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}",
	"a length that is none": OK + b"Content-Length: x\r\n\r\n{",
	"a chunk that is none": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
	"a chunk below zero": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
	"chunks without an end": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
	"too large": OK + b"\r\n" + b"[" + b" " * 2_000_000 + b"]",
	"too many headers": OK + b"X-A: b\r\n" * 5000 + b"\r\n{}",
	"a header without an end": OK + b"X-A: " + b"b" * 200_000 + b"\r\n\r\n{}",
	"no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
	"nothing": b"",
	"a status that is none": b"HTTP/1.1 9999999999 OK\r\n\r\n{}",
	"packed in what is none": OK + b"Content-Encoding: gzip\r\n\r\n{}",
	"deep": OK + b"\r\n" + b"[" * 100_000,
}


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES.keys())
def test_an_answer_that_lies_about_itself_is_a_declared_error(answer):
	with answering(answer) as (url, _), pytest.raises(errors.ConnectorError) as refused:
		call(url)
	assert "s3cret" not in str(refused.value)


LEADING = (
	"http://127.0.0.1:{other}/",
	"//127.0.0.1:{other}/",
	"http://[::1]:{other}/",
	"http://[::ffff:127.0.0.1]:{other}/",
	"http://localhost:{other}/",
	"http://127.0.0.1.:{other}/",
	"http://127.1:{other}/",
	"http://2130706433:{other}/",
	"http://0x7f000001:{other}/",
	"http://127.0.0.1:{port}@127.0.0.1:{other}/",
	"http://127.0.0.1:{port}\\@127.0.0.1:{other}/",
	"http://127.0.0.1:{other}\t/",
	"\\\\127.0.0.1:{other}/",
	"file:///etc/passwd",
	"gopher://127.0.0.1:{other}/",
	"javascript:alert(1)",
	"http://",
	"http://127.0.0.1:99999/",
	"http://169.254.169.254/latest/meta-data/",
)


@pytest.mark.parametrize("status", [301, 303, 307])
@pytest.mark.parametrize("location", LEADING)
def test_a_redirect_takes_no_secret_elsewhere(status, location):
	with answering(OK + b"\r\n{}") as (other, asked_elsewhere):
		port = other.rpartition(":")[2]
		# The answer names the server's own port only once that is known: a socket is made for it first.
		with closing(socket.create_server(("127.0.0.1", 0))) as probe:
			own = probe.getsockname()[1]
		answer = f"HTTP/1.1 {status} X\r\nLocation: {location.format(port=own, other=port)}\r\n\r\n"
		with answering(answer.encode()) as (url, _), pytest.raises(errors.ConnectorError):
			call(url)
		assert asked_elsewhere == []
