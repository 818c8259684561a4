"""Where requests may go."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from integration_hub.connectors import BaseConnector, errors, guard
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.sandbox.access import API_KEY
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
	],
)
def test_private_addresses_are_not_public(address):
	assert not guard.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address):
	assert guard.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "2130706433", "0x7f.1"])
def test_no_request_goes_to_this_machine(crm, host):
	port = crm.url.rpartition(":")[2]
	with connector(f"http://{host}:{port}") as client, pytest.raises(errors.ConnectionFailed) as caught:
		client.get("/v1/me")
	assert "does not allow" in str(caught.value) and crm.requests == 0


def test_an_allowed_host_is_called(crm):
	with connector(crm.url, "127.0.0.1") as client:
		assert client.get("/v1/me")


def test_a_name_that_resolves_to_a_private_address_is_refused(crm, monkeypatch):
	real = socket.getaddrinfo

	def resolve(host, port, *args, **kwargs):
		return real("127.0.0.1" if host == "crm.example" else host, port, *args, **kwargs)

	monkeypatch.setattr(socket, "getaddrinfo", resolve)
	url = crm.url.replace("127.0.0.1", "crm.example")
	with connector(url) as client, pytest.raises(errors.ConnectionFailed, match="does not allow"):
		client.get("/v1/me")
	with connector(url, "crm.example") as client:
		assert client.get("/v1/me")


def test_a_name_is_resolved_once_so_that_it_cannot_change_in_between(crm, monkeypatch):
	"""The vetted address is the one connected to: a second answer of the resolver is never asked for."""
	answers = ["127.0.0.1", "10.9.9.9"]
	real = socket.getaddrinfo

	def resolve(host, port, *args, **kwargs):
		return real(answers.pop(0) if host == "crm.example" else host, port, *args, **kwargs)

	monkeypatch.setattr(socket, "getaddrinfo", resolve)
	with connector(crm.url.replace("127.0.0.1", "crm.example"), "crm.example") as client:
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
