"""The HTTP client, against the sandbox over real sockets."""

from __future__ import annotations

import json
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
import redis
import requests

from integration_hub.connectors import BaseConnector, OAuth2Connector, errors
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination, RedisCoordination
from integration_hub.connectors.oauth2 import Token
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.retry import RetryPolicy, retry_after
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN

LOCAL = ["127.0.0.1:*"]
FAST = {"backoff_min": 0.01, "backoff_max": 0.05}


class Memory:
	"""Secrets in memory, shared like a site's."""

	def __init__(self, **values: str):
		self.values = values

	def get(self, field: str) -> str | None:
		return self.values.get(field)

	get_committed = get

	def set(self, field: str, value: str) -> None:
		self.values[field] = value

	def authorization(self) -> str:
		return f"Bearer {API_KEY}"


def key_connector(crm: Sandbox, **options) -> BaseConnector:
	config = {"auth_type": "API Key Header", **FAST, **options}
	return BaseConnector(
		IntegrationConfig("crm", base_url=crm.url, **config), Memory(secret=API_KEY), allowed_hosts=LOCAL
	)


def oauth_connector(
	crm: Sandbox, grant: str, secrets: Memory, coordination=None, **options
) -> OAuth2Connector:
	config = IntegrationConfig(
		"crm",
		base_url=crm.url,
		auth_type=f"OAuth2 {grant}",
		token_url=f"{crm.url}/oauth/token",
		client_id=CLIENT_ID,
		**{**FAST, **options},
	)
	return OAuth2Connector(config, secrets, coordination, allowed_hosts=LOCAL)


@pytest.mark.parametrize(
	("auth", "secrets"),
	[
		({"auth_type": "API Key Header"}, {"secret": API_KEY}),
		({"auth_type": "API Key Query", "api_key_name": "api_key"}, {"secret": API_KEY}),
		({"auth_type": "Basic", "username": CLIENT_ID}, {"secret": API_KEY}),
		({"auth_type": "Bearer"}, {"secret": API_KEY}),
		({"auth_type": "HMAC", "api_key_name": "X-Signature"}, {"secret": API_KEY}),
		({"auth_type": "Connected App"}, {}),
	],
)
def test_each_static_authentication_is_accepted(crm, auth, secrets):
	with BaseConnector(
		IntegrationConfig("crm", base_url=crm.url, **auth), Memory(**secrets), allowed_hosts=LOCAL
	) as connector:
		assert connector.get("/v1/me") == {"name": "Sandbox CRM"}


def test_errors_carry_method_url_status_and_a_redacted_body(crm):
	with key_connector(crm) as connector, pytest.raises(errors.NotFound) as caught:
		connector.get("/v1/nothing", params={"token": "abcdef123"})
	error = caught.value
	assert (error.method, error.status, error.kind) == ("GET", 404, "Not Found")
	assert "abcdef123" not in str(error) and '"error": "not found"' in error.body


@pytest.mark.parametrize("fault", ["500", "503", "reset", "truncate"])
def test_a_safe_request_is_repeated_after_a_fault(crm, fault):
	crm.faults.set(following=[fault])
	with key_connector(crm) as connector:
		assert connector.get("/v1/me")
	assert crm.requests == 2


@pytest.mark.parametrize("fault", ["500", "reset", "truncate"])
def test_a_post_is_not_repeated_when_it_may_have_had_an_effect(crm, fault):
	crm.faults.set(following=[fault])
	with key_connector(crm) as connector, pytest.raises(errors.ConnectorError):
		connector.push_data("/v1/customers", {"name": "New"})
	assert crm.requests == 1


def test_a_post_with_an_idempotency_key_is_repeated_and_has_one_effect(crm):
	crm.faults.set(following=["truncate", "truncate"])
	with key_connector(crm) as connector:
		connector.push_data("/v1/customers", {"name": "New"}, idempotency_key="k-1")
	assert (crm.requests, crm.customers.counts()["alive"]) == (3, 251)


def test_an_answer_that_is_no_json_is_a_declared_error(crm):
	crm.faults.set(following=["garbage"])
	with key_connector(crm) as connector, pytest.raises(errors.MalformedAnswer):
		connector.get("/v1/me")


def test_a_slow_answer_times_out(crm):
	crm.faults.slow_seconds = 2
	crm.faults.set(following=["slow"])
	with (
		key_connector(crm, read_timeout=0.2, max_attempts=1) as connector,
		pytest.raises(errors.RequestTimeout),
	):
		connector.get("/v1/me")


def test_an_answer_above_the_size_limit_is_refused(crm):
	with key_connector(crm, max_response_mb=0.001) as connector, pytest.raises(errors.TooLarge):
		connector.get("/v1/customers/page")


def test_an_unreachable_system_is_a_connection_error(crm):
	crm.stop()
	with key_connector(crm, max_attempts=1) as connector, pytest.raises(errors.ConnectionFailed):
		connector.get("/v1/me")


@pytest.mark.parametrize(
	"path", ["http://127.0.0.1:1/steal", "https://evil.example/x", "http://127.0.0.1.evil.example/"]
)
def test_no_request_leaves_the_host(crm, path):
	with key_connector(crm) as connector, pytest.raises(errors.ConfigurationError, match="not on the host"):
		connector.get(path)


@pytest.mark.parametrize("base", ["", "/"])
@pytest.mark.parametrize("path", ["v1/me", "/v1/me"])
def test_base_url_and_path_join_without_double_slash(crm, base, path):
	with key_connector(crm) as connector:
		assert connector.url(path) == f"{crm.url}/v1/me"


@pytest.mark.parametrize("grant", ["Client Credentials", "Refresh Token"])
def test_oauth2_fetches_a_token_once_and_keeps_it(crm, grant):
	secrets = Memory(client_secret=CLIENT_SECRET, refresh_token=REFRESH_TOKEN)
	for _ in range(3):
		with oauth_connector(crm, grant, secrets) as connector:
			assert connector.get("/v1/me")
	assert crm.tokens.issued == 1


def test_a_rotated_refresh_token_is_stored_and_used(crm):
	secrets = Memory(client_secret=CLIENT_SECRET, refresh_token=REFRESH_TOKEN)
	for _ in range(3):
		with oauth_connector(crm, "Refresh Token", secrets) as connector:
			assert connector.get("/v1/me")
		crm.tokens.revoke_all()
	assert (crm.tokens.issued, crm.tokens.refused) == (3, 0)


def test_a_401_refreshes_once_and_repeats_once(crm):
	secrets = Memory(client_secret=CLIENT_SECRET)
	with oauth_connector(crm, "Client Credentials", secrets) as connector:
		connector.get("/v1/me")
		crm.tokens.revoke_all()
		assert connector.get("/v1/me")
		assert crm.tokens.issued == 2


def test_wrong_client_credentials_are_an_authentication_error(crm):
	connector = oauth_connector(crm, "Client Credentials", Memory(client_secret="wrong-secret"))
	with connector, pytest.raises(errors.AuthenticationFailed) as caught:
		connector.get("/v1/me")
	assert "wrong-secret" not in "".join(traceback.format_exception(caught.value))


def test_an_expired_token_is_refreshed_by_one_of_many(crm, redis_url):
	"""Twenty connectors, each with its own Redis connection as twenty processes have, one refresh."""
	secrets = Memory(client_secret=CLIENT_SECRET)
	barrier = threading.Barrier(20)

	def call(_: int) -> dict:
		coordination = RedisCoordination(redis.from_url(redis_url), "single-flight")
		with oauth_connector(crm, "Client Credentials", secrets, coordination) as connector:
			barrier.wait()
			return connector.get("/v1/me")

	with ThreadPoolExecutor(20) as pool:
		assert len(list(pool.map(call, range(20)))) == 20
	assert crm.tokens.issued == 1


def test_a_token_made_from_other_settings_is_not_used(crm):
	secrets = Memory(client_secret=CLIENT_SECRET)
	with oauth_connector(crm, "Client Credentials", secrets) as connector:
		connector.get("/v1/me")
	with oauth_connector(crm, "Client Credentials", secrets, scope="more") as connector:
		connector.get("/v1/me")
	assert crm.tokens.issued == 2


def test_retry_after_is_obeyed_and_never_undercut(crm):
	crm.budget.limit, crm.budget.period = 1, 1
	with key_connector(crm) as connector:
		connector.get("/v1/me")
		before = time.monotonic()
		connector.get("/v1/me")
		assert time.monotonic() - before >= 0.9


def test_a_pause_too_long_for_a_worker_is_handed_to_the_caller(crm):
	crm.budget.limit, crm.budget.period = 1, 600
	with key_connector(crm, max_wait=5) as connector:
		connector.get("/v1/me")
		with pytest.raises(errors.RetryLater) as caught:
			connector.get("/v1/me")
	assert 500 < caught.value.seconds <= 601


@pytest.mark.parametrize("shared", [True, False])
def test_a_rate_budget_keeps_the_server_from_refusing(crm, redis_url, shared):
	crm.budget.limit, crm.budget.period = 10, 3
	options = {"rate_limit": 10, "rate_period": 3.0}
	local = LocalCoordination()

	def call(_: int) -> None:
		coordination = RedisCoordination(redis.from_url(redis_url), "budget") if shared else local
		config = IntegrationConfig("crm", base_url=crm.url, auth_type="API Key Header", **options)
		with BaseConnector(config, Memory(secret=API_KEY), coordination, allowed_hosts=LOCAL) as connector:
			for _ in range(5):
				connector.get("/v1/me")

	with ThreadPoolExecutor(4) as pool:
		list(pool.map(call, range(4)))
	assert (crm.requests, crm.budget.refused) == (20, 0)


def test_retry_after_reads_seconds_and_dates():
	now = datetime(2026, 1, 1, tzinfo=timezone.utc)
	later = (now + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
	assert retry_after("7") == 7
	assert retry_after(later, now) == 90
	assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT", now) == 0
	for junk in (None, "", "soon", "-1", "1.5.2", "９", "Fri, 99 Foo"):
		assert retry_after(junk, now) is None


def test_backoff_grows_within_its_bounds():
	pauses: list[float] = []
	policy = RetryPolicy(attempts=5, minimum=2, maximum=60, sleep=pauses.append)

	def fail():
		raise errors.ServerError("no")

	with pytest.raises(errors.ServerError):
		policy.run(fail, idempotent=True)
	assert len(pauses) == 4 and all(2 <= pause <= 60 for pause in pauses)


def test_no_secret_prints(crm):
	access, refresh = "tok-en-" + "value", "refresh-" + "value"  # not in one piece: tracebacks show this line
	secrets = Memory(secret=API_KEY, oauth_token=Token(access, 0, refresh).dumps())
	config = IntegrationConfig("crm", base_url=crm.url, auth_type="API Key Query", api_key_name="api_key")
	with BaseConnector(config, secrets, allowed_hosts=LOCAL) as connector:
		with pytest.raises(errors.NotFound) as caught:
			connector.get("/v1/nothing", params={"x": access})
		shown = "".join(
			[*traceback.format_exception(caught.value), repr(connector), repr(connector.authenticate())]
		)
	for secret in (API_KEY, access, refresh):
		assert secret not in shown


@pytest.mark.parametrize(
	"text",
	[
		"Authorization: Bearer s3cr3t-value",
		'{"access_token": "s3cr3t-value"}',
		"client_secret=s3cr3t-value&x=1",
		"https://user:s3cr3t-value@host/path",
		"api_key=s3cr3t-value",
		"{'password': 's3cr3t-value'}",
	],
)
def test_redaction_by_name(text):
	assert "s3cr3t-value" not in Redactor().text(text)


def test_redaction_by_value_leaves_the_rest_readable():
	assert Redactor(["hunter22"]).text("user=ada hunter22 end") == "user=ada [redacted] end"


def test_redirects_to_another_host_are_not_followed(crm):
	from http.server import BaseHTTPRequestHandler, HTTPServer

	class Elsewhere(BaseHTTPRequestHandler):
		def do_GET(self):
			self.send_response(302)
			self.send_header("Location", f"{crm.url}/v1/me")
			self.send_header("Content-Length", "0")
			self.end_headers()

		def log_message(self, *args):
			return

	server = HTTPServer(("127.0.0.1", 0), Elsewhere)
	threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
	config = IntegrationConfig("x", base_url=f"http://127.0.0.1:{server.server_port}", auth_type="Bearer")
	connector = BaseConnector(config, Memory(secret=API_KEY), allowed_hosts=LOCAL)
	with connector, pytest.raises(errors.UnexpectedStatus, match="another host"):
		connector.get("/start")
	server.shutdown()
	server.server_close()
	assert crm.requests == 0


def test_the_sandbox_counts_what_happened(crm):
	requests.post(f"{crm.url}/_sandbox/change", data=json.dumps({"create": 2, "delete": 1}), timeout=5)
	counts = requests.get(f"{crm.url}/_sandbox/counts", timeout=5).json()
	assert (counts["alive"], counts["deleted"]) == (251, 1)


@pytest.mark.parametrize(
	"secret", ["sk_live_abcdef\n", "sk_live_abcdef\r\nX-Evil: 1", "sk_live_\u00e9abcdef"]
)
@pytest.mark.parametrize("auth", ["Bearer", "API Key Header"])
def test_a_secret_no_header_can_carry_is_refused_without_showing_it(crm, secret, auth):
	config = IntegrationConfig("crm", base_url=crm.url, auth_type=auth, **FAST)
	connector = BaseConnector(config, Memory(secret=secret), allowed_hosts=LOCAL)
	with connector, pytest.raises((errors.ConfigurationError, errors.AuthenticationFailed)) as caught:
		connector.get("/v1/me")
	assert "sk_live" not in "".join(traceback.format_exception(caught.value))


def test_a_secret_is_masked_in_every_form_it_takes(crm):
	secret = "abc+def/ghi==\"'"
	config = IntegrationConfig("crm", base_url=crm.url, auth_type="API Key Query", api_key_name="key", **FAST)
	with BaseConnector(config, Memory(secret=secret), allowed_hosts=LOCAL) as connector:
		with pytest.raises(errors.AuthenticationFailed) as caught:
			connector.get("/v1/me")
		shown = str(caught.value) + connector.redactor.text(f"{secret!r} {json.dumps(secret)}")
	assert "abc" not in shown and "ghi" not in shown


@pytest.mark.parametrize(
	"answer",
	[
		[],
		"x",
		None,
		{"token": "x"},
		{"access_token": "x", "expires_in": "soon"},
		{"access_token": "x", "expires_in": "nan"},
	],
)
def test_a_token_endpoint_that_answers_nonsense_is_a_declared_error(crm, answer, monkeypatch):
	monkeypatch.setattr(crm.tokens, "answer", lambda *_: (200, answer))
	connector = oauth_connector(crm, "Client Credentials", Memory(client_secret=CLIENT_SECRET))
	with connector, pytest.raises(errors.ConnectorError):
		connector.get("/v1/me")


def test_a_relative_next_link_is_relative_to_its_page(crm):
	from integration_hub.connectors.pagination import NextLink

	paginator = NextLink(next_path="next", size_param="limit", size=10)
	answer = requests.Response()
	answer.url = "https://h.example/api/v1/things?page=1"
	for link, expected in (
		("/api/v1/things?page=2", "https://h.example/api/v1/things?page=2"),
		("?page=3", "https://h.example/api/v1/things?page=3"),
		("https://h.example/api/v1/x", "https://h.example/api/v1/x"),
	):
		paginator.update_state({"next": link}, [], answer)
		assert paginator.state == expected


def test_a_feed_that_stands_at_its_end_is_done():
	from integration_hub.connectors.pagination import Cursor

	paginator = Cursor("c9", cursor_path="next", size_param="limit", size=10)
	paginator.update_state({"next": "c9"}, [], requests.Response())
	assert paginator.done and paginator.state == "c9"


def test_an_echoed_basic_credential_is_masked(crm):
	import base64

	config = IntegrationConfig("crm", base_url=crm.url, auth_type="Basic", username="ada", **FAST)
	with BaseConnector(config, Memory(secret="hunter22"), allowed_hosts=LOCAL) as connector:
		connector.authenticate()
		sent = base64.b64encode(b"ada:hunter22").decode()
		assert sent not in connector.redactor.text(f"you sent {sent}")


@pytest.mark.parametrize(
	"text", ['{"access_token": "fresh-tok-123', '{"error": "{\\"access_token\\": \\"fresh-tok-123\\"}"}']
)
def test_a_token_not_yet_known_is_masked_by_its_name(text):
	assert "fresh-tok-123" not in Redactor().text(text)


def test_an_answer_that_drips_is_given_up_at_its_deadline(crm):
	from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

	class Drip(BaseHTTPRequestHandler):
		def do_GET(self):
			self.send_response(200)
			self.send_header("Content-Length", "1000")
			self.end_headers()
			for _ in range(1000):
				try:
					self.wfile.write(b" ")
					time.sleep(0.05)
				except OSError:
					return

		def log_message(self, *args):
			return

	server = ThreadingHTTPServer(("127.0.0.1", 0), Drip)
	threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
	config = IntegrationConfig("x", base_url=f"http://127.0.0.1:{server.server_port}", max_attempts=1)
	connector = BaseConnector(config, Memory(), allowed_hosts=LOCAL)
	with connector, pytest.raises(errors.RequestTimeout, match="too slowly"):
		connector._transport("GET", f"{config.base_url}/x", None, deadline=0.5)
	server.shutdown()
	server.server_close()


def test_pages_that_lead_in_a_circle_are_an_error(crm):
	from integration_hub.connectors.pages import ListRequest
	from integration_hub.connectors.rest import RestConnector
	from integration_hub.sandbox import routes

	original, calls = routes.STYLES["next"], []

	def circle(call, rows):
		calls.append(1)
		reply = original(call, rows)
		reply.body["next"] = f"{crm.url}{call.path}?limit=10&cursor={routes._encode(10 * (len(calls) % 2))}"
		return reply

	routes.STYLES["next"] = circle
	options = {
		"kind": "Next Link",
		"page_size": 10,
		"page_size_param": "limit",
		"page_param": "",
		"cursor_path": "",
		"more_path": "",
	}
	config = IntegrationConfig("crm", base_url=crm.url, auth_type="API Key Header", **FAST)
	try:
		with RestConnector(config, Memory(secret=API_KEY), allowed_hosts=LOCAL) as connector:
			with pytest.raises(errors.MalformedAnswer, match="lead back"):
				list(
					connector.pages(
						ListRequest("/v1/customers/next", records_path="data", pagination=options)
					)
				)
	finally:
		routes.STYLES["next"] = original
	assert len(calls) < 6


def test_a_next_link_keeps_no_api_key(crm):
	from integration_hub.connectors.pages import ListRequest
	from integration_hub.connectors.rest import RestConnector

	options = {
		"kind": "Next Link",
		"page_size": 100,
		"page_size_param": "limit",
		"page_param": "",
		"cursor_path": "",
		"more_path": "",
	}
	config = IntegrationConfig(
		"crm", base_url=crm.url, auth_type="API Key Query", api_key_name="api_key", **FAST
	)
	with RestConnector(config, Memory(secret=API_KEY), allowed_hosts=LOCAL) as connector:
		pages = list(
			connector.pages(ListRequest("/v1/customers/next", records_path="data", pagination=options))
		)
	assert sum(len(page.records) for page in pages) == 250
	assert pages[0].state and all(API_KEY not in page.state for page in pages), "the sandbox echoes the query"


def test_headers_are_redacted_by_name_and_by_value():
	shown = Redactor(["hunter22"]).headers(
		{"Authorization": "Bearer x1", "X-Note": "hunter22", "Date": "today"}
	)
	assert shown == {"Authorization": "[redacted]", "X-Note": "[redacted]", "Date": "today"}


def test_what_is_left_of_a_budget_is_told_without_using_it(redis_url):
	config = IntegrationConfig("told", base_url="http://127.0.0.1:9", rate_limit=10, rate_period=60.0)
	for coordination in (LocalCoordination(), RedisCoordination(redis.from_url(redis_url), "told")):
		with BaseConnector(config, Memory(), coordination) as connector:
			assert [connector.budget().left for _ in range(2)] == [10, 10]
			coordination.reserve("told", 6.0, 120)
			assert connector.budget().left == 9
			coordination.postpone("told", 600)
			told = connector.budget()
			assert told.left == 0 and 590 < told.wait <= 600


def test_an_integration_without_a_limit_has_no_budget_to_tell_of_unless_it_is_paused():
	coordination = LocalCoordination()
	config = IntegrationConfig("free", base_url="http://127.0.0.1:9")
	with BaseConnector(config, Memory(), coordination) as connector:
		assert connector.budget() is None
		coordination.postpone("free", 30)
		assert 29 < connector.budget().wait <= 30


def test_a_token_tells_when_it_ends_until_its_settings_change(crm):
	secrets = Memory(client_secret=CLIENT_SECRET)
	with oauth_connector(crm, "Client Credentials", secrets) as connector:
		assert connector.token_expires_at() is None
		connector.get("/v1/me")
		assert 3500 < connector.token_expires_at() - time.time() < 3700
		secrets.set("client_secret", "another")
		assert connector.token_expires_at() is None
