"""How long events are kept."""

from __future__ import annotations

import json

import pytest

from integration_hub.sandbox import sender
from integration_hub.stores import inbox, retention
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive


@pytest.fixture
def hub(make_home):
	days = "webhook_enabled = true\nkeep_payload_days = 2\nkeep_dead_days = 10\nkeep_conflict_days = 10"
	return make_home(("webhook_enabled = true", days))


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
