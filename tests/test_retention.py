"""Retention of events, by status."""

from __future__ import annotations

import json
import threading

import pytest

from integration_hub.runtime.worker import work
from integration_hub.sandbox import sender
from integration_hub.stores import inbox, retention
from integration_hub.stores.database import insert
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive


@pytest.fixture
def hub(make_runtime):
	days = "webhook_enabled = true\nkeep_payload_days = 2\nkeep_dead_days = 10\nkeep_conflict_days = 10"
	return make_runtime(("webhook_enabled = true", days))


def put(hub, name: str, status: str, age: int) -> None:
	body = json.dumps({"id": name, "event": "x"}).encode()
	receive(hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body))
	at = hub.now(ahead=-age * 86_400)
	sql = "UPDATE `tabWebhook Log` SET `status` = %s, `modified` = %s WHERE `event_id` = %s"
	hub.db.execute(sql, [status, at, name])


def test_each_state_is_kept_as_long_as_is_set_and_bodies_may_go_before(hub, monkeypatch):
	monkeypatch.setattr(retention, "CHUNK", 3)
	for number in range(8):
		put(hub, f"old-{number}", "Completed", 31)
	for status in ("Completed", "Dead", "Conflict", "Unrouted", "Queued", "Failed", "Processing"):
		for age in (1, 5, 20):
			put(hub, f"{status}-{age}", status, age)
	assert retention.clear_inbox(hub, 30) == 10
	kept = {
		row["event_id"]: row["payload"] is not None for row in hub.db.query("SELECT * FROM `tabWebhook Log`")
	}
	assert kept == {
		"Completed-1": True,
		"Completed-5": False,
		"Completed-20": False,
		"Dead-1": True,
		"Dead-5": True,
		"Conflict-1": True,
		"Conflict-5": True,
		**{f"{s}-{age}": True for s in ("Unrouted", "Queued", "Failed", "Processing") for age in (1, 5, 20)},
	}
	assert inbox.requeue(hub, inbox.select(hub, statuses=["Completed"])) == 1, (
		"what has no body is not replayed"
	)


def log_row(hub, doctype: str, name: str, status: str, age: int) -> None:
	at = hub.now(ahead=-age * 86_400)
	with hub.db.transaction():
		insert(
			hub.db, doctype, {"name": name, "status": status, "modified": at, "creation": at, "owner": "x"}
		)


def left(hub, doctype: str) -> set[str]:
	"""Return the rows that this test has made, not those of runs that were due."""
	return {
		row["name"] for row in hub.db.query(f"SELECT `name` FROM `tab{doctype}` WHERE `owner` = %s", ["x"])
	}


def test_without_a_bench_the_worker_clears_what_is_settled_and_old(make_runtime):
	hub = make_runtime(("[hub]", "[hub]\nkeep_runs = 10\nkeep_failures = 0"))
	put(hub, "old", "Completed", 31)
	put(hub, "new", "Completed", 29)
	for status in ("Completed", "Partial", "Failed", "Needs Approval"):
		for age in (5, 20):
			log_row(hub, "Sync Log", f"{status}-{age}", status, age)
	log_row(hub, "Integration Error Log", "settled", "Resolved", 900)
	stop = threading.Event()
	threading.Timer(0.1, stop.set).start()
	work(hub, stop, lambda done: None)
	assert {row["event_id"] for row in hub.db.query("SELECT * FROM `tabWebhook Log`")} == {"new"}
	ended = {f"{status}-5" for status in ("Completed", "Partial", "Failed")}
	assert left(hub, "Sync Log") == {*ended, "Needs Approval-5", "Needs Approval-20"}
	assert left(hub, "Integration Error Log") == {"settled"}


@pytest.mark.parametrize("days", ['"30"', "-1", "true", "1.5"])
def test_days_that_are_none_are_refused_by_name(make_runtime, days):
	with pytest.raises(HubError, match=r"hub\.toml \[hub\], keep_runs – must be a number of days"):
		make_runtime(("[hub]", f"[hub]\nkeep_runs = {days}"))
