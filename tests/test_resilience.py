"""Retry, breaker, budget and token refresh: the rules as a matrix, and as many processes see them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import redis

from integration_hub.connectors import errors
from integration_hub.connectors.breaker import Breaker
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination, RedisCoordination
from integration_hub.connectors.oauth2 import Token
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.rate_limit_headers import pause_asked
from integration_hub.connectors.registry import connector_for
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY
from integration_hub.sandbox.redis import free_port, redis_server
from tests.test_connectors import FAST, LOCAL, Memory

ALWAYS, SAFE, NEVER = "always", "if idempotent", "never"
STATUSES = {
	400: (errors.InvalidRequest, NEVER),
	401: (errors.AuthenticationFailed, NEVER),
	403: (errors.AccessDenied, NEVER),
	404: (errors.NotFound, NEVER),
	408: (errors.RequestNotReceived, ALWAYS),
	420: (errors.RateLimited, ALWAYS),
	425: (errors.RequestNotReceived, ALWAYS),
	409: (errors.Conflict, NEVER),
	418: (errors.UnexpectedStatus, NEVER),
	422: (errors.InvalidRequest, NEVER),
	429: (errors.RateLimited, ALWAYS),
	500: (errors.ServerError, SAFE),
	501: (errors.ServerCannot, NEVER),
	502: (errors.ServerError, SAFE),
	503: (errors.ServerError, SAFE),
	504: (errors.ServerError, SAFE),
}


@pytest.fixture
def server():
	"""A server that answers the status its path names, and counts."""

	class Handler(BaseHTTPRequestHandler):
		protocol_version = "HTTP/1.1"

		def do_GET(self):
			self.rfile.read(int(self.headers.get("Content-Length") or 0))
			server.count += 1
			self.send_response(int(self.path.strip("/")))
			for name, value in server.answer.items():
				self.send_header(name, value)
			self.send_header("Content-Length", "0")
			self.end_headers()

		do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

		def log_message(self, *args):
			return

	server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
	server.count, server.answer = 0, {}
	threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
	yield server
	server.shutdown()
	server.server_close()


def client(server, **options):
	config = IntegrationConfig(
		"x",
		base_url=f"http://127.0.0.1:{server.server_port}",
		auth_type="API Key Header",
		**{**FAST, "max_attempts": 3, **options},
	)
	return connector_for(config, Memory(secret=API_KEY), LocalCoordination(), {}, LOCAL)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("status", STATUSES)
def test_statuses_by_methods_by_policies(server, status, method, keyed):
	kind, rule = STATUSES[status]
	idempotent = keyed or method in ("GET", "PUT", "DELETE")
	with client(server) as connector, pytest.raises(kind) as caught:
		connector.request(method, f"/{status}", idempotency_key="k" if keyed else None)
	assert type(caught.value) is kind
	assert server.count == (3 if rule == ALWAYS or (rule == SAFE and idempotent) else 1)


def test_the_breaker_opens_pauses_and_closes(server):
	with client(server, max_attempts=1, breaker_threshold=3, breaker_seconds=0.3) as connector:
		for _ in range(3):
			with pytest.raises(errors.ServerError):
				connector.get("/500")
		assert connector.breaker.state()[0] == "Open"
		with pytest.raises(errors.BreakerOpen) as caught:
			connector.get("/200")
		assert 0 < caught.value.seconds <= 0.3 and server.count == 3, "nothing was sent"
		threading.Event().wait(0.35)
		assert connector.breaker.state()[0] == "Half-Open"
		assert connector.get("/200") is None
		assert connector.breaker.state()[0] == "Closed"


def test_a_failed_probe_opens_the_breaker_again(server):
	with client(server, max_attempts=1, breaker_threshold=2, breaker_seconds=0.2) as connector:
		for _ in range(2):
			with pytest.raises(errors.ServerError):
				connector.get("/500")
		threading.Event().wait(0.25)
		with pytest.raises(errors.ServerError):
			connector.get("/500")
		with pytest.raises(errors.BreakerOpen):
			connector.get("/200")


def test_refusals_do_not_open_the_breaker(server):
	with client(server, max_attempts=1, breaker_threshold=2) as connector:
		for _ in range(5):
			with pytest.raises(errors.NotFound):
				connector.get("/404")
		assert connector.breaker.state()[0] == "Closed"


def test_a_breaker_is_shared_through_redis_and_one_probe_passes(redis_url):
	def breaker() -> Breaker:
		return Breaker("crm", RedisCoordination(redis.from_url(redis_url), "breaker"), 2, 0.2)

	for _ in range(2):
		breaker().after(errors.ServerError())
	with pytest.raises(errors.BreakerOpen):
		breaker().before()
	threading.Event().wait(0.25)
	breaker().before()  # the probe
	with pytest.raises(errors.BreakerOpen):
		breaker().before()
	breaker().after(None)
	breaker().before()


@pytest.mark.parametrize(
	("headers", "status", "low", "high"),
	[
		({"Retry-After": "7"}, 429, 7, 7),
		({"Retry-After": "7"}, 503, 7, 7),
		({"Retry-After": "7"}, 200, 0, 0),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 200, 30, 30),
		({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "30"}, 200, 0, 0),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}, 200, 86400, 86400),
		({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000000"}, 200, 0, 0),
		({"RateLimit-Remaining": "0", "RateLimit-Reset": "5"}, 200, 5, 5),
		({"RateLimit": '"default";r=0;t=9'}, 200, 9, 9),
		({"RateLimit": "limit=10, remaining=0, reset=9"}, 200, 9, 9),
		({"RateLimit": '"default";r=3;t=9'}, 200, 0, 0),
		({"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "-1"}, 200, 0, 0),
		({"X-RateLimit-Remaining": "0"}, 200, 0, 0),
	],
)
def test_what_a_server_says_of_its_budget(headers, status, low, high):
	assert low <= pause_asked(headers, status) <= high


def test_an_exhausted_budget_holds_back_the_next_request_of_any_process(server, redis_url):
	"""The server said «none left, 300 s»: the next request is not sent, by any caller."""
	server.answer = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "300"}
	config = IntegrationConfig(
		"x", base_url=f"http://127.0.0.1:{server.server_port}", auth_type="Bearer", **FAST
	)
	for expected in (None, errors.RetryLater):
		coordination = RedisCoordination(redis.from_url(redis_url), "said")
		with connector_for(config, Memory(secret=API_KEY), coordination, {}, LOCAL) as connector:
			if expected:
				with pytest.raises(expected):
					connector.get("/200")
			else:
				connector.get("/200")
	assert server.count == 1


def test_without_redis_it_goes_on_within_the_process_and_says_so(caplog):
	port = free_port()
	coordination = RedisCoordination(redis.from_url(f"redis://127.0.0.1:{port}/0"), "away")
	assert coordination.reserve("x", 1.0, 10) == 0
	assert 0.5 < coordination.reserve("x", 1.0, 10) <= 1.0
	with coordination.lock("x", 1):
		assert not coordination.shared
	assert "Redis is not reachable" in caplog.text
	with redis_server(port):
		coordination._lost_until = 0.0
		assert coordination.claim("x", "1", 5) and coordination.shared


_PROCESS = """
import sys, redis
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import RedisCoordination
from integration_hub.connectors.registry import connector_for
url, redis_url, kind, number = sys.argv[1:5]

class Shared:
	client = redis.from_url(redis_url)
	def get(self, field):
		if field == "client_secret": return "sandbox-client-secret"
		if field == "secret": return "sandbox-api-key"
		value = self.client.get("secret:" + field)
		return value.decode() if value else None
	get_committed = get
	def set(self, field, value): self.client.set("secret:" + field, value)

options = {"auth_type": "API Key Header", "rate_limit": 100, "rate_period": 10.0} if kind == "budget" else {
	"auth_type": "OAuth2 Client Credentials", "token_url": url + "/oauth/token", "client_id": "sandbox"}
config = IntegrationConfig("crm", base_url=url, **options)
with connector_for(config, Shared(), RedisCoordination(Shared.client, kind), {}, ["127.0.0.1:*"]) as connector:
	for _ in range(int(number)):
		connector.get("/v1/me")
"""


def processes(count: int, crm: Sandbox, redis_url: str, kind: str, requests: int) -> None:
	command = [sys.executable, "-c", _PROCESS, crm.url, redis_url, kind, str(requests)]
	running = [subprocess.Popen(command) for _ in range(count)]
	assert [process.wait(120) for process in running] == [0] * count


@pytest.mark.slow
def test_20_processes_and_an_expired_token_make_one_refresh(crm, redis_url):
	client = redis.from_url(redis_url)
	client.flushall()
	client.set("secret:oauth_token", Token("an-expired-one", time.time() - 10).dumps())
	processes(20, crm, redis_url, "token", 1)
	assert (crm.tokens.issued, crm.requests) == (1, 20)


@pytest.mark.slow
def test_8_processes_keep_to_a_budget_of_100_in_10_seconds(crm, redis_url):
	crm.budget.limit, crm.budget.period = 100, 10
	processes(8, crm, redis_url, "budget", 15)
	assert (crm.requests, crm.budget.refused) == (120, 0)


def test_a_failed_refresh_is_not_stampeded(crm, redis_url):
	from tests.test_connectors import oauth_connector

	barrier = threading.Barrier(10)

	def call(_: int) -> str:
		coordination = RedisCoordination(redis.from_url(redis_url), "stampede")
		secrets = Memory(client_secret="wrong-secret")
		with oauth_connector(crm, "Client Credentials", secrets, coordination) as connector:
			barrier.wait()
			with pytest.raises(errors.AuthenticationFailed) as caught:
				connector.get("/v1/me")
			return str(caught.value)

	with ThreadPoolExecutor(10) as pool:
		assert len(list(pool.map(call, range(10)))) == 10
	assert crm.tokens.refused == 1


def fetch(
	crm: Sandbox, lanes: int, kind: str = "Page Number", style: str = "page", size: int = 20, **pagination
):
	options = {
		"kind": kind,
		"page_size": size,
		"page_size_param": "limit",
		"page_param": "",
		"cursor_path": "",
	}
	request = ListRequest(
		f"/v1/customers/{style}",
		records_path="data",
		pagination={**options, "more_path": "", **pagination},
		lanes=lanes,
	)
	config = IntegrationConfig("crm", base_url=crm.url, auth_type="API Key Header", **FAST)
	with connector_for(config, Memory(secret=API_KEY), LocalCoordination(), {}, LOCAL) as connector:
		return [record["id"] for page in connector.pages(request) for record in page.records]


@pytest.mark.parametrize(("kind", "style"), [("Page Number", "page"), ("Offset", "offset")])
@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
def test_lanes_bring_the_same_records_in_the_same_order(crm, kind, style, lanes):
	crm.faults.set(rates={"500": 0.1, "reset": 0.05})
	assert fetch(crm, lanes, kind, style) == [row["id"] for row in crm.customers.alive()]


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_server_that_caps_the_page_size_loses_nothing(lanes):
	with Sandbox(customers=2500) as crm:  # it gives at most 1000 a page
		assert len(set(fetch(crm, lanes, "Offset", "offset", size=5000))) == 2500
		assert len(set(fetch(crm, lanes, "Page Number", "page", size=5000))) == 2500


def test_lanes_fetch_side_by_side(crm):
	"""Eight pages wait on the server at once: with a barrier there, one after the other would never end."""
	barrier = threading.Barrier(4, timeout=20)
	draw, seen = crm.faults.draw, []

	def wait():
		if len(seen) < 4:
			seen.append(1)
			barrier.wait()
		return draw()

	crm.faults.draw = wait
	assert len(fetch(crm, 4)) == 250


def test_lanes_keep_their_connections(crm, monkeypatch):
	"""A connection each, and not one a request."""
	accepted = []
	accept = type(crm._server).get_request
	monkeypatch.setattr(type(crm._server), "get_request", lambda server: accepted.append(1) or accept(server))
	fetch(crm, 4, size=5)
	assert len(accepted) <= 4 and crm.requests > 50


def test_a_token_that_runs_out_in_a_lane_is_renewed(crm):
	config = IntegrationConfig(
		"crm",
		base_url=crm.url,
		auth_type="OAuth2 Client Credentials",
		token_url=f"{crm.url}/oauth/token",
		client_id="sandbox",
		**FAST,
	)
	secrets = Memory(client_secret="sandbox-client-secret")
	request = ListRequest(
		"/v1/customers/page",
		records_path="data",
		pagination={
			"kind": "Page Number",
			"page_size": 10,
			"page_size_param": "limit",
			"page_param": "",
			"cursor_path": "",
			"more_path": "",
		},
		lanes=4,
	)
	found = []
	with connector_for(config, secrets, LocalCoordination(), {}, LOCAL) as connector:
		for page in connector.pages(request):
			found += page.records
			if len(found) == 100:
				crm.tokens.revoke_all()
	assert len(found) == 250 and crm.tokens.issued == 2


@pytest.mark.parametrize(
	("style", "pagination"),
	[
		("page", {"kind": "Page Number", "page_param": "not_a_page"}),  # the same page for ever
		("offset", {"kind": "Offset", "page_param": "not_an_offset"}),
		("cursor", {"kind": "Cursor", "page_param": "not_a_cursor"}),
		("next", {"kind": "Cursor", "cursor_path": "page_of_nothing", "more_path": "data"}),
	],
)
def test_pagination_that_leads_in_circles_is_an_error(crm, style, pagination):
	with pytest.raises(errors.MalformedAnswer):
		fetch(crm, 1, style=style, **pagination)


def test_a_next_link_to_another_host_is_not_followed(crm):
	from integration_hub.sandbox import routes

	original = routes.STYLES["next"]

	def elsewhere(call, rows):
		reply = original(call, rows)
		reply.body["next"] = "http://evil.example/steal"
		return reply

	routes.STYLES["next"] = elsewhere
	try:
		with pytest.raises(errors.ConfigurationError, match="not on the host"):
			fetch(crm, 1, "Next Link", "next")
	finally:
		routes.STYLES["next"] = original
