"""OAuth2Connector against a provider written by others: Authlib's authorization server on Flask."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from cryptography.fernet import Fernet
from flask import Flask, jsonify
from werkzeug.serving import make_server

from integration_hub.connectors import errors
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.registry import connector_for
from integration_hub.runtime.standalone import StandaloneRuntime
from tests.test_connectors import FAST, LOCAL, Memory


@dataclass
class Client(ClientMixin):
	client_id: str
	secret: str

	def get_client_id(self):
		return self.client_id

	def get_allowed_scope(self, scope):
		return scope or ""

	def check_client_secret(self, client_secret):
		return secrets.compare_digest(self.secret, client_secret)

	def check_endpoint_auth_method(self, method, endpoint):
		return method == "client_secret_basic"

	def check_grant_type(self, grant_type):
		return grant_type in ("client_credentials", "refresh_token")


@dataclass
class Token(TokenMixin):
	access_token: str
	expires_in: int
	refresh_token: str = ""
	scope: str = ""
	issued_at: float = field(default_factory=time.time)
	revoked: bool = False

	def check_client(self, client):
		return True

	def get_scope(self):
		return self.scope

	def get_expires_in(self):
		return self.expires_in

	def is_expired(self):
		return time.time() > self.issued_at + self.expires_in

	def is_revoked(self):
		return self.revoked


@dataclass
class Provider:
	url: str
	tokens: list[Token]
	slow: list[float] = field(default_factory=list)  # seconds that its token endpoint takes

	def revoke_all(self) -> None:
		for token in self.tokens:
			token.expires_in = -1


@pytest.fixture
def provider() -> Iterator[Provider]:
	tokens = [Token("", -1, refresh_token="first-refresh-token")]

	class Refresh(grants.RefreshTokenGrant):
		INCLUDE_NEW_REFRESH_TOKEN = True
		TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

		def authenticate_refresh_token(self, refresh_token):
			return next((t for t in tokens if t.refresh_token == refresh_token and not t.revoked), None)

		def authenticate_user(self, credential):
			return "somebody"

		def revoke_old_credential(self, credential):
			credential.revoked = True

	class ClientCredentials(grants.ClientCredentialsGrant):
		TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

	class Validator(BearerTokenValidator):
		def authenticate_token(self, token_string):
			return next((t for t in tokens if t.access_token == token_string), None)

	app = Flask(__name__)
	app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
	known = {"hub": Client("hub", "a:secret/with+odd=characters")}

	def save(token, request):
		tokens.append(
			Token(
				token["access_token"],
				token["expires_in"],
				token.get("refresh_token", ""),
				token.get("scope", ""),
			)
		)

	server = AuthorizationServer(app, query_client=known.get, save_token=save)
	server.register_grant(ClientCredentials)
	server.register_grant(Refresh)
	protect = ResourceProtector()
	protect.register_token_validator(Validator())

	@app.post("/token")
	def token():
		time.sleep(sum(made.slow))
		return server.create_token_response()

	@app.get("/me")
	@protect()
	def me():
		return jsonify(name="others")

	http = make_server("127.0.0.1", 0, app, threaded=True)
	threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
	made = Provider(f"http://127.0.0.1:{http.server_port}", tokens)
	yield made
	http.shutdown()


def connect(provider: Provider, grant: str, memory: Memory):
	config = IntegrationConfig(
		"others",
		base_url=provider.url,
		auth_type=f"OAuth2 {grant}",
		token_url=f"{provider.url}/token",
		client_id="hub",
		**FAST,
	)
	return connector_for(config, memory, LocalCoordination(), {}, LOCAL)


@pytest.fixture
def insecure_transport(monkeypatch):
	"""Authlib wants https; the tests speak http to this machine."""
	monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.mark.usefixtures("insecure_transport")
@pytest.mark.parametrize("grant", ["Client Credentials", "Refresh Token"])
def test_tokens_of_another_provider_are_fetched_kept_and_renewed(provider, grant):
	memory = Memory(client_secret="a:secret/with+odd=characters", refresh_token="first-refresh-token")
	for round in range(1, 4):
		for _ in range(2):
			with connect(provider, grant, memory) as connector:
				assert connector.get("/me") == {"name": "others"}
		assert len(provider.tokens) - 1 == round, "one token a round"
		provider.revoke_all()


@pytest.mark.usefixtures("insecure_transport")
def test_a_refusal_of_another_provider_is_an_authentication_error(provider):
	connector = connect(provider, "Client Credentials", Memory(client_secret="wrong"))
	with connector, pytest.raises(errors.AuthenticationFailed, match="invalid_client"):
		connector.get("/me")


@pytest.mark.usefixtures("insecure_transport")
def test_a_used_refresh_token_is_refused_and_said_so(provider):
	provider.tokens[0].revoked = True
	memory = Memory(client_secret="a:secret/with+odd=characters", refresh_token="first-refresh-token")
	connector = connect(provider, "Refresh Token", memory)
	with connector, pytest.raises(errors.AuthenticationFailed, match="invalid_grant"):
		connector.get("/me")


# A rotating refresh token

_ROTATION = """
import sys, time
from integration_hub.runtime.standalone import StandaloneRuntime

with StandaloneRuntime(sys.argv[1]) as runtime:
	while time.time() < float(sys.argv[2]):
		time.sleep(0.001)
	with runtime.connector("others") as connector:
		assert connector.get("/me") == {"name": "others"}
"""


@pytest.mark.slow
@pytest.mark.usefixtures("insecure_transport")
def test_processes_without_redis_lose_no_rotating_refresh_token(provider, tmp_path, monkeypatch):
	"""The provider takes each refresh token once: who sends one a second time has lost the access for ever."""
	hub = rotating_hub(provider, tmp_path, monkeypatch)
	provider.slow.append(0.3)
	for round in range(1, 5):
		command = [sys.executable, "-c", _ROTATION, str(hub), str(time.time() + 1.5)]
		running = [subprocess.Popen(command) for _ in range(3)]
		assert [process.wait(60) for process in running] == [0, 0, 0]
		assert len(provider.tokens) - 1 == round, "one token a round"
		provider.revoke_all()


@pytest.mark.usefixtures("insecure_transport")
def test_a_handler_that_fails_after_its_call_loses_no_rotating_refresh_token(provider, tmp_path, monkeypatch):
	hub = rotating_hub(provider, tmp_path, monkeypatch)
	for round in range(1, 4):
		with (
			StandaloneRuntime(hub) as runtime,
			StandaloneRuntime(hub) as other,
			pytest.raises(ZeroDivisionError),
		):
			with runtime.db.transaction():
				runtime.db.execute("CREATE TABLE IF NOT EXISTS `x` (`y` TEXT)")
				for one in (runtime, other):  # a handler may have opened a runtime of its own
					with one.connector("others") as connector:
						assert connector.get("/me") == {"name": "others"}
				raise ZeroDivisionError
		assert len(provider.tokens) - 1 == round
		provider.revoke_all()


def rotating_hub(provider: Provider, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
	monkeypatch.setenv("HUB_KEY", Fernet.generate_key().decode())
	monkeypatch.setenv("OTHERS_SECRET", "a:secret/with+odd=characters")
	monkeypatch.setenv("OTHERS_REFRESH", "first-refresh-token")
	hub = folder / "hub.toml"
	hub.write_text(f"""
[hub]
encryption_key = "env:HUB_KEY"
allowed_hosts = ["127.0.0.1:*"]

[integration.others]
base_url = "{provider.url}"
auth_type = "OAuth2 Refresh Token"
token_url = "{provider.url}/token"
client_id = "hub"
client_secret = "env:OTHERS_SECRET"
refresh_token = "env:OTHERS_REFRESH"
""")
	return hub
