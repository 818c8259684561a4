"""oidc-provider: tokens for a client that authenticates in the request body or in a header, for a resource of a name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cryptography.fernet import Fernet

from tests_servers.hub import follow, hub, synced
from tests_servers.packages import ROOT, npm
from tests_servers.process import free_port, server

INTEGRATION = """
auth_type = "OAuth2 Client Credentials"
token_url = "{url}/token"
client_id = "hub"
client_secret = "env:OIDC_SECRET"
client_authentication = "{method}"
token_params = "resource=https://things.example.com/"
scope = "things:read"
"""


class Things:
	"""The list behind the tokens, changed past them."""

	def __init__(self, url: str):
		self.path = f"{url}/things"

	def create(self, key: int, title: str, price: float) -> None:
		data = {"id": key, "title": title, "price": price}
		requests.put(f"{self.path}/{key}", json=data, timeout=10).raise_for_status()

	update = create

	def delete(self, key: int) -> None:
		requests.delete(f"{self.path}/{key}", timeout=10).raise_for_status()


@pytest.fixture(params=["client_secret_post", "client_secret_basic"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
	folder = npm("oidc-provider", "oidc-provider@9")
	port = free_port()
	command = ["node", ROOT / "tests_servers/apps/oidc.mjs", str(port), request.param]
	with server(command, f"http://127.0.0.1:{port}/things", folder) as origin:
		yield (
			origin,
			{"client_secret_post": "Request Body", "client_secret_basic": "Basic Header"}[request.param],
		)


def test_a_list_behind_its_tokens_is_followed(
	provider: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
	url, method = provider
	monkeypatch.setenv("OIDC_SECRET", "a secret of: signs & percent %41")
	monkeypatch.setenv("HUB_KEY", Fernet.generate_key().decode())
	integration = INTEGRATION.format(url=url, method=method)
	with hub(tmp_path, url, 'endpoint = "/things"', integration, 'encryption_key = "env:HUB_KEY"') as runtime:
		follow(runtime, Things(url))
		time.sleep(2.5)  # tokens live for two seconds
		synced(runtime)
