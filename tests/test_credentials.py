"""Credentials of every kind, against a server that verifies them by code of others."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from integration_hub.connectors import errors
from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.credential_checks import credential_problems, secrets_sent
from integration_hub.connectors.oauth2 import Token
from integration_hub.connectors.pem import normalized
from integration_hub.connectors.registry import connector_for
from integration_hub.connectors.side_by_side import fetch_each
from integration_hub.connectors.token_answers import lifetime
from integration_hub.stores.runtime import HubError
from tests.credential_server import (
	AWS,
	CLIENT_SECRET,
	EC_PEM,
	PASSWORD,
	RSA_PEM,
	Server,
	basic,
	pem_of,
	serving,
)
from tests.test_connectors import FAST, LOCAL, Memory

ALL = {
	"client_secret": CLIENT_SECRET,
	"secret": PASSWORD,
	"secret_2": "s3cond-secret",
	"private_key": RSA_PEM,
}


@pytest.fixture(scope="module")
def _server():
	with pytest.MonkeyPatch.context() as patch:
		patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
		with serving() as made:
			yield made


@pytest.fixture
def server(_server) -> Server:
	_server.clear()
	return _server


def connect(server: Server, memory: Memory | None = None, **settings):
	usual = {
		"base_url": server.url,
		"token_url": f"{server.url}/token",
		"client_id": "hub",
		"username": "ada",
	}
	config = IntegrationConfig("others", **{**usual, **FAST, "max_attempts": 1, **settings})
	secrets = memory or Memory(**ALL)
	known = {**ALL, **secrets.values}
	assert [*integration_problems(config, known), *credential_problems(config, known)] == []
	return connector_for(config, secrets, LocalCoordination(), {}, LOCAL)


# OAuth2


@pytest.mark.parametrize(
	("settings", "method"),
	[
		({"auth_type": "OAuth2 Client Credentials"}, "client_secret_basic"),
		(
			{"auth_type": "OAuth2 Client Credentials", "client_authentication": "Request Body"},
			"client_secret_post",
		),
		(
			{"auth_type": "OAuth2 Client Credentials", "client_authentication": "Signed JWT", "username": ""},
			"client_assertion_jwt",
		),
		({"auth_type": "OAuth2 Password"}, "client_secret_basic"),
		({"auth_type": "OAuth2 Password", "client_authentication": "Request Body"}, "client_secret_post"),
		({"auth_type": "OAuth2 JWT Bearer"}, "none"),
	],
)
def test_each_grant_and_client_authentication_gets_a_token_of_authlib(server, settings, method):
	server.methods[:] = [method]
	claims = {"jwt_claims": '{"jti": "{uuid}"}'}
	with connect(
		server, **settings, **claims, token_params="audience=https://api\nresource=a\nresource=b"
	) as hub:
		assert hub.get("/token-only") == {"ok": True}
		assert hub.get("/token-only") == {"ok": True}
	[form] = server.forms
	assert (form["audience"], form["resource"]) == ("https://api", ["a", "b"])


@pytest.mark.parametrize("scope", ["a b", "a,b", "https://x/.default"])
def test_scopes_are_sent_as_they_are_written(server, scope):
	with connect(server, auth_type="OAuth2 Client Credentials", scope=scope) as hub:
		hub.get("/token-only")
	assert server.forms[0]["scope"] == scope


def test_a_wrong_password_is_said_and_not_shown(server):
	memory = Memory(**{**ALL, "secret": "wrong-password"})
	hub = connect(server, memory, auth_type="OAuth2 Password", client_authentication="Basic Header")
	with (
		hub,
		pytest.raises(
			errors.AuthenticationFailed, match="invalid_grant|invalid_request|access_denied"
		) as caught,
	):
		hub.get("/token-only")
	assert "wrong-password" not in f"{caught.value} {caught.value.body}"


@pytest.mark.parametrize(
	("settings", "seen"),
	[
		(
			{"token_format": "Zoho-oauthtoken {token}"},
			lambda h, q, t: h["Authorization"] == f"Zoho-oauthtoken {t}",
		),
		({"token_name": "X-Token"}, lambda h, q, t: h["X-Token"] == t and "Authorization" not in h),
		({"sent_in": "Query", "token_name": "access_token"}, lambda h, q, t: q["access_token"] == [t]),
		({"sent_in": "Cookie", "token_name": "T"}, lambda h, q, t: h["Cookie"] == f"T={t}"),
		({"token_format": "{token}"}, lambda h, q, t: h["Authorization"] == t),
	],
)
def test_a_token_goes_where_the_settings_say(server, settings, seen):
	memory = Memory(**ALL)
	with connect(server, memory, auth_type="OAuth2 Client Credentials", **settings) as hub:
		hub.get("/seen")
		token = Token.loads(memory.values["oauth_token"]).access_token
		assert hub.redactor.text(f"got {token}") == "got [redacted]"
	[(headers, query)] = server.seen
	assert seen(headers, query, token)


IN_AN_HOUR = datetime.now(timezone.utc) + timedelta(hours=1)


@pytest.mark.parametrize(
	("stated", "path"),
	[
		(3600, ""),
		(3600.5, ""),
		("3600", ""),
		("3600.0", ""),
		("1h", ""),
		(int(IN_AN_HOUR.timestamp()), "at"),
		(str(int(IN_AN_HOUR.timestamp())), "at"),
		(int(IN_AN_HOUR.timestamp() * 1000), "at"),
		(IN_AN_HOUR.isoformat(), "at"),
		(IN_AN_HOUR.strftime("%Y-%m-%dT%H:%M:%SZ"), "at"),
		(IN_AN_HOUR.strftime("%Y-%m-%dT%H:%M:%S.1234567Z"), "at"),
		(IN_AN_HOUR.strftime("%Y-%m-%d %H:%M:%S"), "at"),
		(IN_AN_HOUR.strftime("%a, %d %b %Y %H:%M:%S GMT"), "at"),
		(None, ""),
		(None, "nothing.here"),
		("", ""),
	],
	ids=map(str, range(16)),  # ids that name the time would differ from process to process
)
def test_the_end_of_a_token_is_read_in_every_form(server, stated, path):
	server.more.update({path.partition(".")[0] or "expires_in": stated} if stated is not None else {})
	memory = Memory(**ALL)
	settings = {"token_url": f"{server.url}/token/plain", "auth_type": "OAuth2 Client Credentials"}
	with connect(server, memory, **settings, expires_path=path) as hub:
		hub.get("/token-only")
	left = Token.loads(memory.values["oauth_token"]).expires_at - time.time()
	assert 2000 < left < 3700


@pytest.mark.parametrize("stated", ["soon", "nan", float("inf"), True, [], {}, "2026-99-99", "1e999"])
def test_an_end_that_is_nonsense_is_refused(stated):
	with pytest.raises(ValueError):
		lifetime(stated, 60)


@pytest.mark.parametrize("stated", [1e300, 10**30, "9" * 40, -5, "-1e300", 0, "0"])
def test_an_end_far_away_or_past_is_a_number(stated):
	assert -(10**11) < lifetime(stated, 60) < 10**11


def test_an_end_that_is_not_stated_is_that_of_the_settings(server):
	memory = Memory(**ALL)
	settings = {"token_url": f"{server.url}/token/plain", "auth_type": "OAuth2 Client Credentials"}
	with connect(server, memory, **settings, token_lifetime=120) as hub:
		hub.get("/token-only")
	assert 60 < Token.loads(memory.values["oauth_token"]).expires_at - time.time() < 130


def test_a_token_of_another_name_is_found_and_one_that_is_not_there_is_said(server):
	server.more["data"] = {"key": "t0ken-of-another-name"}
	settings = {"token_url": f"{server.url}/token/plain", "auth_type": "OAuth2 Client Credentials"}
	with connect(server, **settings, token_path="data.key") as hub:
		hub.get("/seen")
	assert server.seen[0][0]["Authorization"] == "Bearer t0ken-of-another-name"
	with connect(server, **settings, token_path="data.other") as hub:
		with pytest.raises(errors.MalformedAnswer, match=r"token_path data\.other.*access_token, data"):
			hub.get("/seen")


def test_a_rotated_refresh_token_outlives_a_change_of_the_parameters(server):
	memory = Memory(**ALL, refresh_token="first-refresh")
	settings = {"token_url": f"{server.url}/token/plain", "auth_type": "OAuth2 Refresh Token"}
	server.more["refresh_token"] = "second-refresh"
	with connect(server, memory, **settings) as hub:
		hub.get("/token-only")
	with connect(server, memory, **settings, token_params="audience=x") as hub:
		hub.get("/token-only")
	assert [form["refresh_token"] for form in server.forms] == ["first-refresh", "second-refresh"]


# Sessions

LOGIN = {"auth_type": "Session Token", "token_url": "/login", "token_path": "data.session.id"}
JSON_LOGIN = {**LOGIN, "login_body": '{"user": "{username}", "password": "{secret}"}'}


@pytest.mark.parametrize(
	"settings",
	[
		{**JSON_LOGIN},
		{**JSON_LOGIN, "token_name": "X-Session"},
		{**JSON_LOGIN, "sent_in": "Query", "token_name": "sid"},
		{**JSON_LOGIN, "sent_in": "Cookie", "token_name": "SID"},
		{**JSON_LOGIN, "token_path": "header:X-Session"},
		{**JSON_LOGIN, "token_path": "cookie:SID", "sent_in": "Cookie", "token_name": "SID"},
		{**LOGIN, "login_body_format": "Form", "login_body": "user={username}\npassword={secret}"},
		{**LOGIN, "login_method": "GET", "login_headers": "Authorization: Basic {basic}"},
		{
			**LOGIN,
			"login_body_format": "Text",
			"login_body": '{"password": "{secret}"}',
			"login_headers": "Content-Type: application/json",
		},
		{**LOGIN, "token_url": "/form-login", "token_path": "cookie:SID"},
	],
)
def test_a_login_gives_a_session_that_all_use_until_a_401(server, settings):
	memory = Memory(**ALL)
	for _round in range(2):
		with connect(server, memory, **settings) as hub:
			assert hub.get("/session") == {"ok": True}
			assert hub.get("/session") == {"ok": True}
	assert len(server.sessions) == 1
	server.sessions.clear()
	with connect(server, memory, **settings) as hub:
		assert hub.get("/session") == {"ok": True}
	assert len(server.sessions) == 1


def test_a_session_is_renewed_by_its_lifetime(server):
	memory = Memory(**ALL)
	for _round in range(2):
		with connect(server, memory, **JSON_LOGIN, token_lifetime=1) as hub:
			hub.get("/session")
		time.sleep(1)
	assert len(server.logins) == 2


def test_a_refused_login_is_said_without_the_password(server):
	memory = Memory(**{**ALL, "secret": "wrong-password"})
	with connect(server, memory, **JSON_LOGIN) as hub:
		with pytest.raises(errors.AuthenticationFailed, match="wrong password") as caught:
			hub.get("/session")
	assert "wrong-password" not in f"{caught.value} {caught.value.body}"


@pytest.mark.parametrize(
	"settings",
	[
		{"token_path": "data.sid", "expires_path": "data.until"},
		{"token_path": "data.nothing"},
		{"token_path": ""},
		{"token_path": "header:X-Nothing"},
	],
)
def test_an_answer_that_grants_is_not_shown_where_it_cannot_be_read(server, settings):
	server.more.update(data={"sid": "sess1on-of-ada", "until": "soon"}, renew="renewal-of-ada")
	with connect(server, **{**JSON_LOGIN, **settings}) as hub:
		with pytest.raises(errors.ConnectorError) as caught:
			hub.get("/session")
	assert not any(word in f"{caught.value} {vars(caught.value)}" for word in ("sess1on", "renewal-of"))


def test_a_login_answer_is_masked_by_value(server):
	server.sessions.clear()
	with connect(server, **JSON_LOGIN) as hub:
		hub.get("/session")
		[session] = server.sessions
		assert session not in hub.redactor.text(json.dumps({"echo": session}))


def test_a_granted_refresh_token_is_masked_by_value(server):
	server.more["refresh_token"] = "renewal-of-ada"
	settings = {"auth_type": "OAuth2 Client Credentials", "token_url": f"{server.url}/token/plain"}
	with connect(server, **settings) as hub:
		hub.credentials()
		assert "renewal-of-ada" not in hub.redactor.text('{"echo": "renewal-of-ada"}')


# Signed tokens and requests


@pytest.mark.parametrize(
	("algorithm", "secrets", "more"),
	[
		("RS256", {"private_key": RSA_PEM}, {}),
		("RS256", {"private_key": RSA_PEM.replace("\n", "")}, {}),
		("RS256", {"private_key": RSA_PEM.replace("\n", " ")}, {}),
		("RS256", {"private_key": RSA_PEM.replace("\n", "\\n")}, {}),
		("PS256", {"private_key": RSA_PEM}, {}),
		("ES256", {"private_key": EC_PEM}, {}),
		("HS256", {"secret": "00ff" * 16}, {"jwt_key_encoding": "Hex"}),
		("HS256", {"secret": "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8="}, {"jwt_key_encoding": "Base64"}),
	],
)
def test_requests_carry_a_signed_token(server, algorithm, secrets, more):
	claims = {
		"jwt_claims": '{"iss": "{client_id}", "n": {"who": "{username}"}}',
		"jwt_headers": '{"kid": "k-1"}',
	}
	settings = {"auth_type": "JWT", "jwt_algorithm": algorithm, "token_lifetime": 90, **claims, **more}
	with connect(server, Memory(**secrets), **settings) as hub:
		found = hub.get(f"/signed/{algorithm}")
		token = hub.authenticate().token
		assert hub.redactor.text(token) == "[redacted]"
	assert (found["claims"]["iss"], found["claims"]["n"], found["headers"]["kid"]) == (
		"hub",
		{"who": "ada"},
		"k-1",
	)
	assert found["claims"]["exp"] - found["claims"]["iat"] == 90


@pytest.mark.parametrize(
	("field", "value"),
	[
		("private_key", "-----BEGIN PRIVATE KEY-----\nMIIx!!\n-----END PRIVATE KEY-----"),
		("private_key", "k3y-that-is-none"),
		("private_key", EC_PEM),
		(
			"private_key",
			pem_of(__import__("tests.credential_server").credential_server.RSA_KEY, "passphrase"),
		),
	],
	ids=map(str, range(4)),
)
def test_a_key_that_cannot_sign_is_named_and_not_shown(server, field, value):
	with connect(server, Memory(**{field: value}), auth_type="JWT") as hub:
		with pytest.raises(errors.ConfigurationError, match=field) as caught:
			hub.get("/seen")
	assert caught.value.field == field and value[5:60] not in str(caught.value)


def test_line_breaks_of_a_key_come_back():
	assert normalized(RSA_PEM.replace("\n", "")) == RSA_PEM


@pytest.mark.parametrize("service", ["execute-api", "s3"])
@pytest.mark.parametrize(
	("path", "options"),
	[
		("/aws/items", {}),
		("/aws/items", {"params": {"b": "2 3", "a": ["x", "é&="], "empty": ""}}),
		("/aws/search", {"json": {"q": "é"}, "repeatable": True}),
	],
)
def test_requests_are_signed_for_aws(server, service, path, options):
	settings = {"auth_type": "AWS Signature", "aws_region": "eu-central-1", "aws_service": service}
	method = "POST" if "json" in options else "GET"
	with connect(server, Memory(secret=AWS[1]), **{**settings, "username": AWS[0]}) as hub:
		assert hub.request(method, path, **options) == {"ok": True}
	with connect(server, Memory(secret="another-secret-key"), **{**settings, "username": AWS[0]}) as hub:
		with pytest.raises(errors.AccessDenied):
			hub.request(method, path, **options)


# API keys, and what goes beside a credential


def test_an_api_key_in_a_cookie_and_in_a_format(server):
	for auth_type, name in (("API Key Cookie", "key"), ("API Key Header", "Authorization")):
		settings = {"auth_type": auth_type, "api_key_name": name, "token_format": "Key-{token}"}
		with connect(server, Memory(secret="k3y-of-mine"), **settings) as hub:
			hub.get("/seen")
	assert server.seen[0][0]["Cookie"] == "key=Key-k3y-of-mine"
	assert server.seen[1][0]["Authorization"] == "Key-k3y-of-mine"


@pytest.mark.parametrize("secret", ["a;b", "a, b", 'a"b', "a\\b"])
def test_a_secret_that_would_end_its_cookie_is_refused(server, secret):
	with connect(server, Memory(secret=secret), auth_type="API Key Cookie", api_key_name="key") as hub:
		with pytest.raises(errors.ConfigurationError, match="key") as caught:
			hub.get("/seen")
	assert secret not in str(caught.value)


EXTRAS = {
	"extra_headers": "Notion-Version: 2022-06-28\nDD-Application-Key: {secret_2}\nX-Both: {username}:{secret_3}",
	"extra_params": "api-version=7.0\nkey={secret_2}",
}


@pytest.mark.parametrize(
	"settings",
	[{"auth_type": "Bearer"}, {"auth_type": "None"}, {"auth_type": "OAuth2 Client Credentials"}, JSON_LOGIN],
)
def test_extra_headers_and_parameters_go_with_every_credential(server, settings):
	memory = Memory(**ALL, secret_3="th1rd-secret")
	with connect(server, memory, **settings, **EXTRAS) as hub:
		hub.get("/seen", headers={"Notion-Version": "2030-01-01"}, params={"a": "b"})
		hub.get("/seen?key=old&api-version=1")
		assert hub.redactor.text("s3cond-secret th1rd-secret") == "[redacted] [redacted]"
		assert "s3cond" not in repr(hub.credentials())
	(first, query), (second, again) = server.seen
	assert (first["Notion-Version"], second["Notion-Version"]) == ("2030-01-01", "2022-06-28")
	assert (first["Dd-Application-Key"], first["X-Both"]) == ("s3cond-secret", "ada:th1rd-secret")
	assert query == {"a": ["b"], "api-version": ["7.0"], "key": ["s3cond-secret"]}
	assert again == {"api-version": ["7.0"], "key": ["s3cond-secret"]}
	assert all("s3cond-secret" not in str(each) for each in (server.forms, server.logins))


@pytest.mark.parametrize("lanes", [1, 2])
def test_extra_secrets_go_with_details_fetched_side_by_side(server, lanes):
	memory = Memory(**ALL, secret_3="th1rd-secret")
	with connect(server, memory, auth_type="Bearer", **EXTRAS) as hub:
		list(fetch_each(hub, ["/seen", "/seen?page=2"], lanes))
	assert [headers.get("Dd-Application-Key") for headers, _query in server.seen] == ["s3cond-secret"] * 2
	assert [query["key"] for _headers, query in server.seen] == [["s3cond-secret"]] * 2


@pytest.mark.parametrize(
	"settings",
	[
		{"auth_type": "None", **EXTRAS},
		{"auth_type": "API Key Cookie", "api_key_name": "key"},
		{**JSON_LOGIN, "token_url": "/elsewhere/login"},
		{"auth_type": "OAuth2 Client Credentials", "token_url": "{url}/elsewhere/token"},
	],
)
def test_no_redirect_takes_a_secret_to_another_host(server, settings):
	settings = {name: value.replace("{url}", server.url) for name, value in settings.items()}
	with serving() as other:
		server.more["elsewhere"] = other.url
		with connect(server, Memory(**ALL, secret_3="th1rd-secret"), **settings) as hub:
			with pytest.raises(errors.ConnectorError):
				hub.get("/elsewhere/seen")
		assert not (other.seen or other.logins or other.forms)


def test_an_extra_secret_that_is_empty_is_named(server):
	config = IntegrationConfig("x", base_url=server.url, extra_headers="X-Second: {secret_2}")
	assert [field for field, _ in credential_problems(config, {})] == ["secret_2"]
	with connector_for(config, Memory(), LocalCoordination(), {}, LOCAL) as hub:
		with pytest.raises(errors.ConfigurationError, match="secret_2 is empty") as caught:
			hub.get("/seen")
	assert caught.value.field == "secret_2"


def test_basic_is_written_as_a_placeholder(server):
	extra = {"auth_type": "None", "extra_headers": "Authorization: Basic {basic}"}
	with connect(server, **extra) as hub:
		hub.get("/seen")
	assert server.seen[0][0]["Authorization"] == basic("ada", PASSWORD)


def test_what_is_said_about_a_token_is_no_secret():
	settings = {
		"extra_params": "token_type=x\nrequested_token_type=urn:ietf:params:oauth:token-type:jwt",
		"extra_headers": "X-Token-Version: 2",
	}
	assert credential_problems(IntegrationConfig("x", base_url="https://x", **settings), {}) == []


# What is refused when it is saved


@pytest.mark.parametrize(
	("settings", "field"),
	[
		({"extra_headers": "X-Api-Key: abc"}, "extra_headers"),
		({"extra_headers": "Cookie: a=b"}, "extra_headers"),
		({"extra_headers": "Host: elsewhere"}, "extra_headers"),
		({"extra_headers": "no header"}, "extra_headers"),
		({"extra_headers": "X-A: {password}"}, "extra_headers"),
		({"extra_headers": "X-A: {secret:what}"}, "extra_headers"),
		({"extra_headers": "X-Ä: 1"}, "extra_headers"),
		({"extra_headers": "X-A: ä"}, "extra_headers"),
		({"extra_params": "api_key=abc"}, "extra_params"),
		({"extra_params": "novalue"}, "extra_params"),
		({"auth_type": "OAuth2 Client Credentials", "token_params": "client_secret=abc"}, "token_params"),
		({"auth_type": "OAuth2 Client Credentials", "token_path": "a["}, "token_path"),
		({"auth_type": "OAuth2 Client Credentials", "expires_path": "a["}, "expires_path"),
		({"auth_type": "OAuth2 Client Credentials", "token_format": "Bearer"}, "token_format"),
		({"auth_type": "OAuth2 Client Credentials", "token_format": "{token} {secret}"}, "token_format"),
		({"auth_type": "OAuth2 Client Credentials", "sent_in": "Cookie"}, "token_name"),
		({"auth_type": "OAuth2 Client Credentials", "sent_in": "Query"}, "token_name"),
		({"sent_in": "Body"}, "sent_in"),
		({"client_authentication": "None"}, "client_authentication"),
		({**JSON_LOGIN, "login_body": "{"}, "login_body"),
		({**JSON_LOGIN, "login_body": '{"a": "{nothing}"}'}, "login_body"),
		({**JSON_LOGIN, "login_body": '{"user": "ada", "password": "abc"}'}, "login_body"),
		({**JSON_LOGIN, "login_body": '{"auth": [{"api_key": 12345}]}'}, "login_body"),
		({**JSON_LOGIN, "token_url": ""}, "token_url"),
		({**JSON_LOGIN, "login_headers": "Authorization: Basic YWRhOmw="}, "login_headers"),
		({**JSON_LOGIN, "login_body_format": "Form", "login_body": "password=abc"}, "login_body"),
		({"auth_type": "JWT", "jwt_algorithm": "none"}, "jwt_algorithm"),
		({"auth_type": "JWT", "jwt_claims": "[]"}, "jwt_claims"),
		({"auth_type": "JWT", "jwt_claims": "{"}, "jwt_claims"),
		({"auth_type": "AWS Signature"}, "aws_region"),
		({"ca_bundle": "no certificate"}, "ca_bundle"),
		({"client_certificate": "no certificate"}, "client_certificate"),
	],
)
def test_what_cannot_work_is_refused_by_field(settings, field):
	usual = {"base_url": "https://x", "token_url": "https://x/token", "client_id": "hub", "username": "ada"}
	config = IntegrationConfig("x", **{**usual, **settings})
	known = {**ALL, "client_key": "set"}
	assert integration_problems(config, known) == []
	assert field in [name for name, _sentence in credential_problems(config, known)]


@pytest.mark.parametrize(
	("settings", "sent"),
	[
		({"auth_type": "None"}, set()),
		({"auth_type": "None", "extra_headers": "X-A: {secret_2}"}, {"secret_2"}),
		({"auth_type": "Bearer", "extra_params": "a={secret_3}"}, {"secret", "secret_3"}),
		({"auth_type": "Basic"}, {"secret"}),
		({"auth_type": "OAuth2 Client Credentials"}, {"client_secret"}),
		(
			{"auth_type": "OAuth2 Client Credentials", "client_authentication": "Signed JWT"},
			{"client_secret", "private_key"},
		),
		(
			{"auth_type": "OAuth2 Refresh Token", "token_params": "a={secret_2}"},
			{"client_secret", "refresh_token", "secret_2"},
		),
		({"auth_type": "OAuth2 Password"}, {"client_secret", "secret"}),
		({"auth_type": "OAuth2 JWT Bearer"}, {"client_secret", "private_key"}),
		({"auth_type": "JWT", "jwt_algorithm": "HS256"}, {"secret"}),
		(JSON_LOGIN, {"secret"}),
		({**LOGIN, "login_headers": "Authorization: Basic {basic}"}, {"secret"}),
		({"auth_type": "None", "client_certificate": "x"}, {"client_key", "client_key_passphrase"}),
		({"auth_type": "A Kind of Tomorrow"}, {"secret"}),
	],
)
def test_the_secrets_that_settings_send_are_known(settings, sent):
	assert secrets_sent(IntegrationConfig("x", **settings)) == sent


# hub.toml


def test_hub_toml_has_it_all(server, make_runtime, monkeypatch):
	monkeypatch.setenv("MY_PASSWORD", PASSWORD)
	monkeypatch.setenv("MY_SECOND", "s3cond-secret")
	text = f"""
[integration.others]
base_url = "{server.url}"
auth_type = "Session Token"
token_url = "/login"
token_path = "data.session.id"
username = "ada"
secret = "env:MY_PASSWORD"
secret_2 = "env:MY_SECOND"
login_body = '{{"password": "{{secret}}"}}'
extra_headers = "X-Second: {{secret_2}}"
"""
	with (
		make_runtime(("[integration.crm]", f"{text}\n[integration.crm]")) as runtime,
		runtime.connector("others") as hub,
	):
		assert hub.get("/session") == {"ok": True}
		assert "s3cond-secret" not in str(runtime.db.query("SELECT * FROM `tabIntegration Settings`"))
	with pytest.raises(HubError, match="secret_2"):
		plain = text.replace('"env:MY_SECOND"', '"s3cond-secret"')
		make_runtime(("[integration.crm]", f"{plain}\n[integration.crm]"))
