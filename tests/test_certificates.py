"""An own authority and a client certificate, against TLS servers of Python's own `ssl`."""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from integration_hub.connectors import errors
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.credential_checks import credential_problems
from integration_hub.connectors.registry import connector_for
from tests.credential_server import RSA_PEM, pem_of
from tests.test_connectors import FAST, Memory
from tests.tls import self_signed


@pytest.fixture(scope="module")
def places(tmp_path_factory):
	"""Give a certificate and key of the server, and of a client that it trusts."""
	made = []
	for name in ("localhost", "client"):
		folder = tmp_path_factory.mktemp(name)
		made += self_signed(folder, name)
	return made


class Seen(BaseHTTPRequestHandler):
	def do_GET(self):
		body = b'{"seen": true}'
		self.send_response(200)
		self.send_header("Content-Length", str(len(body)))
		self.end_headers()
		self.wfile.write(body)

	def log_message(self, *_):
		pass


@contextmanager
def serving(certificate: Path, key: Path, clients: Path | None = None) -> Iterator[int]:
	"""Give the port of a server over TLS. clients: the authority of those that it answers."""
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(certificate, key)
	if clients:
		context.load_verify_locations(clients)
		context.verify_mode = ssl.CERT_REQUIRED
	server = ThreadingHTTPServer(("127.0.0.1", 0), Seen)
	server.socket = context.wrap_socket(server.socket, server_side=True)
	server.handle_error = lambda *_: None
	threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
	try:
		yield server.server_port
	finally:
		server.shutdown()


@pytest.fixture(scope="module")
def port(places):
	certificate, key, client, _client_key = places
	with serving(certificate, key, client) as made:
		yield made


@pytest.fixture(scope="module")
def open_port(places):
	certificate, key, *_ = places
	with serving(certificate, key) as made:
		yield made


def connect(port: int, secrets: dict | None = None, **settings):
	config = IntegrationConfig(
		"x", base_url=f"https://localhost:{port}", **{**FAST, "max_attempts": 1, **settings}
	)
	return connector_for(config, Memory(**(secrets or {})), LocalCoordination(), {}, [f"localhost:{port}"])


def test_an_own_authority_is_trusted_and_a_public_one_is_not_needed(open_port, places):
	with connect(open_port, ca_bundle=places[0].read_text()) as hub:
		assert hub.get("/seen") == {"seen": True}
	for settings in ({}, {"ca_bundle": places[2].read_text()}):
		with connect(open_port, **settings) as hub, pytest.raises(errors.InsecureConnection):
			hub.get("/seen")


@pytest.mark.parametrize("passphrase", ["", "a passphrase of mine"])
def test_a_client_certificate_is_shown(port, places, passphrase):
	certificate, _, client, client_key = (place.read_text() for place in places)
	key = pem_of(load_pem_private_key(client_key.encode(), None), passphrase)
	settings = {"ca_bundle": certificate, "client_certificate": client}
	for text in (key, key.replace("\n", "")):
		with connect(port, {"client_key": text, "client_key_passphrase": passphrase}, **settings) as hub:
			assert hub.get("/seen") == {"seen": True}
			assert hub.get("/seen") == {"seen": True}
	with connect(port, ca_bundle=certificate) as hub, pytest.raises(errors.ConnectorError):
		hub.get("/seen")


def test_no_key_stays_on_the_disk_or_stands_there_as_it_is(port, places, tmp_path, monkeypatch):
	monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
	written = []
	unlink = os.unlink

	def read_first(path, *options, **more):
		with open(path) as file:
			written.append(file.read())
		unlink(path, *options, **more)

	monkeypatch.setattr("os.unlink", read_first)
	certificate, _, client, client_key = (place.read_text() for place in places)
	settings = {"ca_bundle": certificate, "client_certificate": client}
	with connect(port, {"client_key": client_key}, **settings) as hub:
		hub.get("/seen")
		assert "PRIVATE" not in repr(vars(hub.transport))
	assert written and list(tmp_path.iterdir()) == []
	assert all("BEGIN ENCRYPTED PRIVATE KEY" in text for text in written)
	assert not any(client_key.splitlines()[1] in text for text in written)


@pytest.mark.parametrize(
	("secrets", "words"),
	[
		({}, "client_key is empty"),
		({"client_key": "n0-key-at-all"}, "client_key: it is not PEM"),
		({"client_key": RSA_PEM}, "client_key: it does not belong"),
		({"client_key": RSA_PEM, "client_key_passphrase": "x"}, "client_key: its passphrase is not needed"),
	],
)
def test_a_key_that_does_not_fit_is_named_and_not_shown(places, secrets, words):
	with pytest.raises(errors.ConfigurationError, match=words) as caught:
		connect(1, secrets, client_certificate=places[2].read_text())
	assert caught.value.field == "client_key"
	assert not any(value[40:80] and value[40:80] in str(caught.value) for value in secrets.values())


def test_certificates_are_checked_when_they_are_saved(places):
	certificate, key, *_ = (place.read_text() for place in places)
	for settings, field in (
		({"client_certificate": certificate}, "client_key"),
		({"client_certificate": certificate + key}, "client_certificate"),
		({"ca_bundle": certificate, "verify_tls": False}, "ca_bundle"),
		({"ca_bundle": certificate.replace("M", "*")}, "ca_bundle"),
	):
		found = credential_problems(IntegrationConfig("x", base_url="https://x", **settings), {})
		assert field in [name for name, _ in found]
