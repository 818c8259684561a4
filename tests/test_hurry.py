"""A connector that a person waits for: it waits for no budget, pause or lock, and says for how long it would."""

from __future__ import annotations

import threading
import time

import pytest

from integration_hub.connectors import BaseConnector, errors
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import Coordination, LocalCoordination, RedisCoordination
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.sync.dry_runs import dry_run
from tests.test_connectors import FAST, LOCAL, Memory
from tests.test_http import answer, raw_server, says

AT_ONCE = 10.0  # seconds, on a machine that has much else to do


def hurried(port: int, coordination: Coordination | None = None, **values: object) -> BaseConnector:
	config = IntegrationConfig(
		"x", base_url=f"http://127.0.0.1:{port}", **{**FAST, "max_wait": 120, **values}
	)
	made = BaseConnector(config, Memory(), coordination or LocalCoordination(), allowed_hosts=LOCAL)
	made.hurry()
	return made


def test_a_budget_that_is_used_up_is_said_and_not_waited_for():
	coordination = LocalCoordination()
	coordination.postpone("x", 26)
	began = time.monotonic()
	with hurried(1, coordination) as client, pytest.raises(errors.Paused, match="Next try in 2[56] s"):
		client.get("/x")
	assert time.monotonic() - began < AT_ONCE


def test_a_pause_of_the_budget_that_nobody_notices_is_kept():
	with raw_server(says(answer(), answer())) as port, hurried(port, rate_limit=60, rate_period=60) as client:
		assert client.get("/x") == client.get("/y") == {}


@pytest.mark.parametrize("status", [403, 429, 503])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_pause_that_is_asked_for_is_said_and_not_waited_for(status, method):
	began = time.monotonic()
	with raw_server(says(answer(status, Retry_After="26"))) as port, hurried(port, max_attempts=9) as client:
		with pytest.raises(errors.ConnectorError) as caught:
			client.request(method, "/x")
	assert time.monotonic() - began < AT_ONCE
	assert caught.value.retry_after == 26 or getattr(caught.value, "seconds", 0) == 26


def test_a_failed_call_is_repeated_once_and_soon():
	began = time.monotonic()
	slow = {"max_attempts": 9, "backoff_min": 60, "backoff_max": 90}
	with raw_server(says(answer(500), answer(body=b'{"n": 1}'))) as port, hurried(port, **slow) as client:
		assert client.get("/x") == {"n": 1}
	assert time.monotonic() - began < AT_ONCE


@pytest.fixture(params=["local", "redis"])
def coordination(request: pytest.FixtureRequest) -> Coordination:
	if request.param == "local":
		return LocalCoordination()
	redis = pytest.importorskip("redis")
	return RedisCoordination(redis.from_url(request.getfixturevalue("redis_url")), "hurry")


def test_a_token_that_another_process_fetches_is_not_waited_for(coordination):
	"""And the lock is held for as long as before: nobody else renews a token meanwhile."""
	values = {"auth_type": "OAuth2 Client Credentials", "token_url": "http://127.0.0.1:1/t", "client_id": "c"}
	config = IntegrationConfig("x", base_url="http://127.0.0.1:1", **{**FAST, **values})
	held, done = threading.Event(), threading.Event()

	def hold() -> None:
		with coordination.lock("token:x", 60):
			held.set()
			done.wait(60)

	thread = threading.Thread(target=hold)
	thread.start()
	held.wait(10)
	began = time.monotonic()
	client = OAuth2Connector(config, Memory(client_secret="s"), coordination, allowed_hosts=LOCAL)
	client.hurry()
	with client, pytest.raises(errors.RetryLater):
		client.get("/x")
	assert time.monotonic() - began < AT_ONCE
	done.set()
	thread.join()


def test_a_dry_run_shows_the_pages_that_came_before_a_pause(make_runtime, crm, monkeypatch):
	"""Its source lets a few requests through now, and the next ones in half a minute."""
	runtime = make_runtime(('pagination = "Page Number"\n', 'pagination = "Page Number"\npage_size = 10\n'))
	monkeypatch.setattr(type(runtime), "connector", _in_a_hurry(type(runtime).connector))
	crm.budget.limit, crm.budget.period = 3, 30  # the token is one of them
	found = dry_run(runtime, "customers-full", max_pages=5)
	assert found.counts.pages and found.sample
	assert "requests are paused for" in found.notes[-1]


def _in_a_hurry(make):
	def connector(self, integration):
		made = make(self, integration)
		made.hurry()
		return made

	return connector
