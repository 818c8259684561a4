"""A clock that was ahead and came back: what it has dated to come is noticed, said and mended, and decides nothing."""

from __future__ import annotations

import json
import time

import pytest

from integration_hub.connectors.breaker import Breaker
from integration_hub.connectors.coordination import LocalCoordination, RedisCoordination
from integration_hub.connectors.errors import BreakerOpen
from integration_hub.connectors.oauth2 import Token
from integration_hub.runtime import monitors, status
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.worker import work_once
from integration_hub.stores.database import update
from integration_hub.sync import schedule
from integration_hub.sync.run import run_stream
from integration_hub.webhooks.drain import drain, sweep
from tests.compare import source, table
from tests.test_late_events import now, record, told
from tests.test_ordering import DEFERRING, FAILING, HANDLED, hub, put, states  # noqa: F401

HOUR, YEARS = 3600.0, 13 * 365 * 86_400.0


@pytest.fixture
def clock(monkeypatch):
	"""Set how far the clock is ahead, in seconds."""
	real_time, real_ns, real_now = time.time, time.time_ns, StandaloneRuntime.now

	def put_ahead(seconds: float) -> None:
		monkeypatch.setattr(time, "time", lambda: real_time() + seconds)
		monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(seconds * 1e9))
		monkeypatch.setattr(
			StandaloneRuntime, "now", lambda runtime, ahead=0: real_now(runtime, ahead + seconds)
		)

	return put_ahead


def row(runtime, name: str) -> dict:
	return runtime.db.query("SELECT * FROM `tabSync Settings` WHERE `name` = %s", [name])[0]


def said(runtime) -> list[str]:
	rows = runtime.db.query("SELECT * FROM `tabIntegration Error Log` WHERE `operation` = 'Clock'")
	return [row["message"] for row in rows]


@pytest.mark.parametrize("ahead", [2 * HOUR, YEARS])
def test_events_received_in_the_future_are_handled_at_once(hub, clock, ahead):  # noqa: F811
	clock(ahead)
	put(hub, "a1", "b1")
	clock(0)
	assert sweep(hub) == ["crm"]
	drain(hub, "crm")
	assert HANDLED == ["a1", "b1"]
	put(hub, "a2")
	drain(hub, "crm")
	assert HANDLED == ["a1", "b1", "a2"]


@pytest.mark.parametrize("ahead", [2 * HOUR, YEARS])
@pytest.mark.parametrize("how", ["failed", "deferred"])
def test_what_was_put_off_in_the_future_is_tried_now_and_it_is_said(hub, clock, ahead, how):  # noqa: F811
	put(hub, "a1", "a2")
	{"failed": FAILING, "deferred": DEFERRING}[how].add("a1")
	clock(ahead)
	drain(hub, "crm")
	clock(0)
	FAILING.clear()
	DEFERRING.clear()
	assert sweep(hub) == ["crm"]
	drain(hub, "crm")
	assert set(states(hub).values()) == {"Completed"}
	assert any("clock" in text for text in said(hub))


def test_what_fails_now_waits_for_its_time_all_the_same(hub):  # noqa: F811
	put(hub, "a1")
	FAILING.add("a1")
	drain(hub, "crm")
	assert sweep(hub) == [] and said(hub) == []


def test_what_was_claimed_in_the_future_is_given_back(hub, clock):  # noqa: F811
	put(hub, "a1")
	hub.db.execute(
		"UPDATE `tabWebhook Log` SET `status` = 'Processing', `claim` = ':x', `claimed_at` = '2039-01-01 00:00:00'"
	)
	sweep(hub)
	drain(hub, "crm")
	assert HANDLED == ["a1"]


@pytest.mark.parametrize("ahead", [2 * HOUR, YEARS])
def test_a_run_in_the_future_keeps_no_stream_from_running(runtime, clock, ahead):
	clock(ahead)
	work_once(runtime)
	clock(0)
	assert row(runtime, "customers-full")["next_run_at"] > runtime.now(ahead=ahead)
	assert "customers-full" in schedule.due_streams(runtime)
	assert any("A clock was ahead" in text for text in said(runtime))
	assert "A clock was ahead" in "\n".join(status.lines(runtime))
	assert any(problem.kind == monitors.CLOCK for problem in monitors._found(runtime, ())[0])
	work_once(runtime)
	assert row(runtime, "customers-full")["status"] == "OK"
	assert row(runtime, "customers-full")["next_run_at"] < runtime.now(ahead=25 * HOUR)
	assert schedule.mend_times(runtime) == []


def test_a_pause_of_a_week_that_a_source_asks_for_is_left(runtime):
	update(runtime.db, "Sync Settings", "customers-full", {"next_run_at": runtime.now(ahead=7 * 86_400)})
	update(runtime.db, "Sync Settings", "customers-cursor", {"next_run_at": runtime.now(ahead=9 * 86_400)})
	assert schedule.mend_times(runtime) == ["customers-cursor"]


def test_a_run_whose_last_sign_of_life_is_to_come_is_closed(runtime):
	work_once(runtime)
	runtime.db.execute("UPDATE `tabSync Log` SET `status` = 'Running', `heartbeat_at` = '2039-01-01'")
	assert schedule.close_silent_runs(runtime)


@pytest.mark.parametrize("ahead", [2 * HOUR, YEARS])
def test_what_is_gone_is_found_gone_after_a_run_in_the_future(runtime, crm, clock, ahead):
	clock(ahead)
	run_stream(runtime, "customers-full")
	clock(0)
	crm.customers.delete(1)
	log = run_stream(runtime, "customers-full")
	assert log["deleted"] == 1
	assert table(runtime, "full") == source(crm)
	assert run_stream(runtime, "customers-full")["deleted"] == 0


@pytest.mark.parametrize("dated", [True, False])
def test_an_event_is_not_too_late_for_what_was_deleted_in_the_future(runtime, crm, clock, dated):
	clock(YEARS)
	told(runtime, "updated", record("paid"))
	told(runtime, "deleted", {"id": "CUST-9"})
	clock(0)
	told(runtime, "created", record("back", now(0)) if dated else record("back"))
	assert {row["city"] for row in table(runtime, "full")} == {"back"}


def test_what_could_not_be_written_in_the_future_is_tried_again_now(runtime, crm, clock):
	crm.customers.set("CUST-000003", credit_limit="a lot")
	clock(YEARS)
	for _ in range(3):
		run_stream(runtime, "customers-cursor")
	clock(0)
	runtime.db.execute("UPDATE `tabExternal Record` SET `payload` = REPLACE(`payload`, 'a lot', '5')")
	run_stream(runtime, "customers-cursor")
	assert not runtime.db.query("SELECT 1 FROM `tabExternal Record` WHERE `status` = 'Failed'")


def test_a_token_that_was_fetched_in_the_future_is_fetched_again(clock):
	clock(YEARS)
	token = Token("x", time.time() + 3600, seed="s", made_at=time.time())
	assert token.fresh("s")
	clock(0)
	assert not token.fresh("s")
	assert Token.loads(
		json.dumps({"access_token": "x", "expires_at": time.time() + 3600, "seed": "s"})
	).fresh("s")


def test_pauses_and_open_breakers_from_the_future_hold_nobody_back(redis_url):
	import redis

	client = redis.from_url(redis_url)
	shared = RedisCoordination(client, "clock")
	client.set("integration_hub:clock:budget:x", f"{time.time() + YEARS:.6f}", px=int(YEARS * 1000))
	assert shared.wait("x") == 0
	assert shared.reserve("x", 0.1, 10) < 1
	client.set("integration_hub:clock:budget:x", f"{time.time() + YEARS:.6f}", px=int(YEARS * 1000))
	shared.postpone("x", 5)
	assert 1 < shared.wait("x") <= 5
	for coordination in (shared, LocalCoordination()):
		breaker = Breaker("x", coordination, threshold=1, seconds=60)
		coordination.claim("breaker:x:open", "1", YEARS)
		breaker.before()
		assert breaker.state()[0] == "Closed"
		coordination.claim("breaker:x:open", "1", 50)
		with pytest.raises(BreakerOpen):
			breaker.before()


LISTS_ALL = ('endpoint = "/v1/changes"', 'endpoint = "/v1/changes"\ncursor_lists_all = true')


def test_what_is_gone_when_a_cursor_has_expired_is_found_gone_after_a_run_in_the_future(
	make_runtime, crm, clock
):
	runtime = make_runtime(LISTS_ALL)
	clock(2 * HOUR)
	run_stream(runtime, "customers-cursor")
	clock(0)
	crm.customers.delete(1)
	crm.customers.expire()
	assert run_stream(runtime, "customers-cursor")["deleted"] == 1
	assert table(runtime, "cursor") == source(crm)
