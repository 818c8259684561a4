"""The addresses that requests may go to."""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors import BaseConnector, errors, ssrf_guard
from integration_hub.connectors.allowed_hosts import is_allowed
from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.runtime.standalone.hub_toml import load
from integration_hub.sandbox.access import API_KEY
from integration_hub.stores.runtime import HubError
from tests.test_connectors import Memory


def connector(base_url: str, *allowed: str) -> BaseConnector:
	config = IntegrationConfig(
		"x", base_url=base_url, auth_type="API Key Header", max_attempts=1, connect_timeout=1
	)
	return BaseConnector(config, Memory(secret=API_KEY), allowed_hosts=allowed)


@pytest.mark.parametrize(
	"address",
	[
		"127.0.0.1",
		"10.1.2.3",
		"172.16.0.1",
		"192.168.1.1",
		"169.254.169.254",
		"100.64.0.1",
		"0.0.0.0",
		"224.0.0.1",
		"255.255.255.255",
		"::1",
		"::",
		"fe80::1",
		"fc00::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::ffff:10.0.0.1",
		"2002:7f00:1::",
		"64:ff9b::a9fe:a9fe",
		"168.63.129.16",
		"192.0.0.192",
		"fec0::2",
		"64:ff9b:1::a00:1",
		"::7f00:1",
	],
)
def test_private_addresses_are_not_public(address):
	assert not ssrf_guard.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address):
	assert ssrf_guard.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "2130706433", "0x7f.1"])
def test_no_request_goes_to_this_machine(crm, host):
	port = crm.url.rpartition(":")[2]
	with connector(f"http://{host}:{port}") as client, pytest.raises(errors.ConnectionFailed) as caught:
		client.get("/v1/me")
	assert "is not allowed" in str(caught.value) and crm.requests == 0


def test_an_allowed_host_is_called(crm):
	with connector(crm.url, "127.0.0.1:*") as client:
		assert client.get("/v1/me")


@pytest.mark.parametrize(
	("entry", "called", "allowed"),
	[
		("127.0.0.1:8000", "127.0.0.1:8000", True),
		("127.0.0.1:8000", "127.0.0.1:8001", False),
		("127.0.0.1:08000", "127.0.0.1:8000", True),
		("127.0.0.1:8000", "127.0.0.2:8000", False),
		("127.0.0.1:8000", "127.0.0.1:80", False),
		("127.0.0.1", "127.0.0.1:80", True),
		("127.0.0.1", "127.0.0.1:443", False),
		("127.0.0.1", "127.0.0.1:6379", False),
		("127.0.0.1:80", "127.0.0.1:80", True),
		("127.0.0.1:*", "127.0.0.1:6379", True),
		("[::1]:8000", "[::1]:8000", True),
		("[0:0:0:0:0:0:0:1]:8000", "[::1]:8000", True),
		("[::1]:8000", "[::1]:80", False),
		("[::1]", "[::1]:80", True),
		("::1", "[::1]:80", True),
		("::1", "[::1]:8000", False),
		("[::1]:*", "[::1]:8000", True),
		("LocalHost.:8000", "localhost:8000", True),
		("localhost:8000", "127.0.0.1:8000", False),
		("*", "127.0.0.1:8000", True),
		("*:8000", "127.0.0.1:8000", False),
		("127.0.0.1:", "127.0.0.1:80", False),
		("127.0.0.1:0", "127.0.0.1:80", False),
		("127.0.0.1:99999", "127.0.0.1:80", False),
		("127.0.0.1:8000:8000", "127.0.0.1:8000", False),
		("http://127.0.0.1:8000", "127.0.0.1:8000", False),
		("user@127.0.0.1:8000", "127.0.0.1:8000", False),
		("127.0.0.1/x", "127.0.0.1:80", False),
		("", "127.0.0.1:80", False),
	],
)
def test_an_entry_allows_a_host_at_its_ports(entry, called, allowed):
	host, _, port = called.rpartition(":")
	if allowed:
		assert ssrf_guard.vetted(host.strip("[]"), int(port), [entry], 80)
	else:
		with pytest.raises(ssrf_guard.AddressRefused, match=re.escape(called)):
			ssrf_guard.vetted(host.strip("[]"), int(port), [entry], 80)


@given(st.text(max_size=30))
def test_no_entry_breaks_off_a_call_and_none_allows_but_what_it_names(entry):
	allowed = is_allowed("127.0.0.1", 8000, 80, [entry])
	assert not allowed or entry.strip().startswith(("127.0.0.1", "*"))


def test_a_host_that_is_allowed_is_not_called_at_another_port(crm):
	host, _, port = crm.url.partition("//")[2].partition(":")
	for entry, allowed in ((f"{host}:{port}", True), (host, False), (f"{host}:{int(port) + 1}", False)):
		with connector(crm.url, entry) as client:
			if allowed:
				assert client.get("/v1/me")
				continue
			with pytest.raises(errors.AddressNotAllowed):
				client.get("/v1/me")


def test_a_proxy_is_called_at_its_own_port_only(crm):
	"""A request for https goes through a proxy of http: 443 is not the port that its entry stands for."""
	for scheme in ("http", "https"):
		config = IntegrationConfig(
			"x", base_url=f"{scheme}://crm.example", proxy="http://127.0.0.1:443", max_attempts=1
		)
		with BaseConnector(config, Memory(), allowed_hosts=["127.0.0.1"]) as client:
			with pytest.raises(errors.AddressNotAllowed):
				client.get("/x")
		config = replace(config, proxy="http://127.0.0.1")
		with BaseConnector(config, Memory(), allowed_hosts=["127.0.0.1"]) as client:
			with pytest.raises(errors.ConnectionFailed) as caught:
				client.get("/x")
		assert not isinstance(caught.value, errors.AddressNotAllowed)


@pytest.mark.parametrize(
	"given", ['["127.0.0.1:99999"]', '["http://127.0.0.1"]', '[""]', "[1.5]", '"127.0.0.1"']
)
def test_an_entry_that_allows_nothing_is_refused_in_hub_toml(tmp_path, given):
	(tmp_path / "hub.toml").write_text(f"[hub]\nallowed_hosts = {given}\n")
	with pytest.raises(HubError, match="allowed_hosts"):
		load(tmp_path / "hub.toml")


def test_a_name_that_resolves_to_a_private_address_is_refused(crm, monkeypatch):
	real = socket.getaddrinfo

	def resolve(host, port, *args, **kwargs):
		return real("127.0.0.1" if host == "crm.example" else host, port, *args, **kwargs)

	monkeypatch.setattr(socket, "getaddrinfo", resolve)
	url = crm.url.replace("127.0.0.1", "crm.example")
	with connector(url) as client, pytest.raises(errors.ConnectionFailed, match="is not allowed"):
		client.get("/v1/me")
	with connector(url, "crm.example:*") as client:
		assert client.get("/v1/me")


def test_a_name_is_resolved_once_so_that_it_cannot_change_in_between(crm, monkeypatch):
	"""The vetted address is the one connected to: a second answer of the resolver is never asked for."""
	answers = ["127.0.0.1", "10.9.9.9"]
	real = socket.getaddrinfo

	def resolve(host, port, *args, **kwargs):
		return real(answers.pop(0) if host == "crm.example" else host, port, *args, **kwargs)

	monkeypatch.setattr(socket, "getaddrinfo", resolve)
	with connector(crm.url.replace("127.0.0.1", "crm.example"), "crm.example:*") as client:
		assert client.get("/v1/me")
	assert answers == ["10.9.9.9"]


def test_the_token_endpoint_is_guarded_too(crm):
	from integration_hub.connectors import OAuth2Connector

	config = IntegrationConfig(
		"x",
		base_url="https://api.example.com",
		auth_type="OAuth2 Client Credentials",
		token_url=f"{crm.url}/oauth/token",
		client_id="c",
		max_attempts=1,
	)
	with OAuth2Connector(config, Memory(client_secret="s")) as client, pytest.raises(errors.ConnectionFailed):
		client.authenticate()
	assert crm.tokens.refused == 0


@pytest.fixture
def tls_server(tmp_path):
	"""A server with a certificate of its own making, for 127.0.0.1."""
	import datetime
	import ssl
	import threading
	from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

	from cryptography import x509
	from cryptography.hazmat.primitives import hashes, serialization
	from cryptography.hazmat.primitives.asymmetric import ec

	key = ec.generate_private_key(ec.SECP256R1())
	name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "crm.example")])
	now = datetime.datetime.now(datetime.timezone.utc)
	certificate = (
		x509.CertificateBuilder()
		.subject_name(name)
		.issuer_name(name)
		.public_key(key.public_key())
		.serial_number(1)
		.not_valid_before(now - datetime.timedelta(days=1))
		.not_valid_after(now + datetime.timedelta(days=1))
		.add_extension(x509.SubjectAlternativeName([x509.DNSName("crm.example")]), critical=False)
		.sign(key, hashes.SHA256())
	)
	pem = tmp_path / "server.pem"
	pem.write_bytes(
		key.private_bytes(
			serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
		)
		+ certificate.public_bytes(serialization.Encoding.PEM)
	)

	class Handler(BaseHTTPRequestHandler):
		def do_GET(self):
			self.send_response(200)
			self.send_header("Content-Length", "2")
			self.end_headers()
			self.wfile.write(b"{}")

		def log_message(self, *args):
			return

	server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(pem)
	server.socket = context.wrap_socket(server.socket, server_side=True)
	threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
	yield server.server_port, pem
	server.shutdown()
	server.server_close()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_tls_is_verified_against_the_name_although_an_address_is_connected_to(tls_server, monkeypatch):
	port, pem = tls_server
	real = socket.getaddrinfo
	monkeypatch.setattr(
		socket,
		"getaddrinfo",
		lambda h, p, *a, **k: real("127.0.0.1" if h.endswith(".example") else h, p, *a, **k),
	)
	for host, verify, fine in (
		("crm.example", pem, True),
		("other.example", pem, False),
		("crm.example", True, False),
		("crm.example", False, True),
	):
		config = IntegrationConfig(
			"x",
			base_url=f"https://{host}:{port}",
			auth_type="Bearer",
			max_attempts=1,
			verify_tls=bool(verify),
		)
		with BaseConnector(config, Memory(secret=API_KEY), allowed_hosts=[f"{host}:{port}"]) as client:
			if verify == pem:
				client.session.verify = str(pem)
			if fine:
				assert client.get("/x") == {}
			else:
				with pytest.raises(errors.ConnectionFailed, match="certificate"):
					client.get("/x")


def test_a_proxy_is_used_where_one_is_set(crm):
	config = IntegrationConfig("x", base_url="http://crm.example", auth_type="API Key Header", proxy=crm.url)
	with BaseConnector(config, Memory(secret=API_KEY), allowed_hosts=["127.0.0.1:*"]) as client:
		assert client.get("/v1/me") == {"name": "Sandbox CRM"}
	with BaseConnector(config, Memory(secret=API_KEY)) as client:
		with pytest.raises(errors.ConnectionFailed, match="is not allowed"):  # the proxy's own address
			client.get("/v1/me")


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
	"""A proxy that asks for credentials: its URL, and what it was told."""
	told: list[str] = []
	wanted = f"Basic {b64encode(b'ada:l/ove@lace').decode()}"

	class Handler(BaseHTTPRequestHandler):
		def answer(self, status: int) -> None:
			told.append(f"{self.command} {self.headers.get('Proxy-Authorization')}")
			self.send_response(status if self.headers.get("Proxy-Authorization") == wanted else 407)
			self.send_header("Content-Length", "2")
			self.end_headers()
			self.wfile.write(b"{}")

		def do_GET(self) -> None:
			self.answer(200)

		def do_CONNECT(self) -> None:
			self.answer(502)  # it goes no further

		def log_message(self, *args: object) -> None:
			return

	server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
	threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
	yield f"http://127.0.0.1:{server.server_port}", told
	server.shutdown()
	server.server_close()


def through(proxy: str, base_url: str, **secrets: str) -> BaseConnector:
	config = IntegrationConfig("x", base_url=base_url, auth_type="Bearer", max_attempts=1, proxy=proxy)
	return BaseConnector(config, Memory(secret=API_KEY, **secrets), allowed_hosts=["127.0.0.1:*"])


def test_a_proxy_is_told_the_credentials_kept_for_it(proxy):
	url, told = proxy
	with through(url, "http://crm.example", proxy_secret="ada:l/ove@lace") as client:
		assert client.get("/x") == {}
	assert told[0].startswith("GET Basic ")
	with through(url, "http://crm.example") as client:
		with pytest.raises(errors.ConnectorError, match="407"):
			client.get("/x")
	assert told[1] == "GET None"


def test_a_proxy_is_told_before_a_tunnel_and_nothing_shows_what(proxy, caplog):
	caplog.set_level(logging.DEBUG)
	url, told = proxy
	with through(url, "https://crm.example", proxy_secret="ada:l/ove@lace") as client:
		with pytest.raises(errors.ConnectionFailed) as caught:
			client.get("/x")
		shown = [
			repr(vars(client)),
			repr(vars(client.session)),
			str(caught.value),
			repr(vars(caught.value)),
			caplog.text,
		]
		assert client.redactor.text("the proxy said: l/ove@lace") == "the proxy said: [redacted]"
	assert told[0].startswith("CONNECT Basic ")
	for text in shown:
		for secret in ("l/ove@lace", "l%2Fove", told[0].rpartition(" ")[2]):
			assert secret not in text


@pytest.mark.parametrize(
	"settings",
	[
		{"base_url": "https://ada:lovelace@crm.example"},
		{"base_url": "https://ada@crm.example/v1"},
		{"test_path": "https://ada:lovelace@crm.example/v1/me"},
		{"token_url": "https://ada:lovelace@crm.example/token"},
		{"proxy": "http://ada:lovelace@proxy.example:3128"},
		{"proxy": "ada:lovelace@proxy.example:3128"},
		{"proxy": "http://ada:love/lace@proxy.example:3128"},
		{"webhook_url": "https://ada:lovelace@site.example/x"},
	],
)
def test_no_url_of_the_settings_holds_credentials(settings):
	config = IntegrationConfig("x", **{"base_url": "https://crm.example", **settings})
	[(field, sentence)] = integration_problems(config, {})
	assert [field] == list(settings)
	assert "user and password" in sentence
	assert "lovelace" not in sentence


def test_an_at_sign_behind_the_host_is_no_credential():
	config = IntegrationConfig(
		"x", base_url="https://crm.example/@me?to=a@b", test_path="@me", webhook_url="https://a.example/x@y"
	)
	assert integration_problems(config, {}) == []


@pytest.mark.parametrize("evil", ["\\", "\t", "@", " "])
def test_a_url_that_parsers_read_differently_is_no_url(crm, evil):
	"""urllib3 ends the host at a backslash, urllib does not: one would check, the other connect."""
	trick = crm.url.replace(
		"http://", f"http://evil.example{evil}@" if evil != "@" else "http://evil.example@"
	)
	with connector(crm.url, "*") as client:
		with pytest.raises(errors.ConfigurationError):
			client.get(trick + "/steal")


def test_a_redirect_to_such_a_url_is_not_followed(crm):
	from integration_hub.sandbox import routes

	original = routes._api
	target = crm.url.replace("http://", "http://evil.example\\@")
	routes._api = lambda sandbox, call: routes.Reply(302, None, {"Location": f"{target}/steal"})
	try:
		with connector(crm.url, "*") as client, pytest.raises(errors.ConnectorError):
			client.get("/v1/me")
	finally:
		routes._api = original
	assert crm.requests == 1
