"""The commands by which an operator looks at what happened, and mends it, on the runtime without a bench."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.connectors.errors import InvalidRequest
from integration_hub.sandbox import sender
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive


@pytest.fixture
def hub(runtime):
	def run(*words: str, code: int = 0) -> str:
		done = CliRunner().invoke(
			integration_hub, ["--config", str(runtime.file.folder / "hub.toml"), *words]
		)
		assert done.exit_code == code, (words, done.output, done.exc_info)
		return done.output

	return run


def post(runtime, body: dict, secret: str = sender.SECRET) -> None:
	raw = json.dumps(body).encode()
	headers = {sender.HEADER.lower(): sender.sign(raw, secret), "content-type": "application/json"}
	receive(runtime, Request("crm", "POST", headers, raw))


def first_word(text: str, line: int = 1) -> str:
	return text.splitlines()[line].split()[0]


def test_a_connection_is_tested(hub, crm):
	assert re.search(r"crm: http://\S+ answered in \d", hub("test", "crm"))
	crm.faults.set(following=["500"])
	said = hub("test", "crm", code=1)
	assert "HTTP 500" in said and "[GET " in said
	assert "Server error on the external system." in hub("status")
	hub("test", "crm")
	assert "Server error on the external system." not in hub("status")
	assert "did you mean crm?" in hub("test", "cmr", code=1)


def test_runs_are_listed_the_newest_first(hub, crm):
	assert "(none)" in hub("runs")
	hub("sync", "customers-full")
	hub("sync", "customers-cursor")
	rows = hub("runs").splitlines()
	assert "customers-cursor" in rows[1] and "customers-full" in rows[2] and "250" in rows[2]
	assert "customers-cursor" not in hub("runs", "customers-full")
	assert "(none)" in hub("runs", "--failed")
	crm.faults.set(rates={"garbage": 1.0})
	hub("sync", "customers-full", code=1)
	assert "Failed" in hub("runs", "customers-full", "--failed")


def test_a_failure_is_shown_with_request_answer_and_traceback_and_closed(hub, crm):
	assert "(none)" in hub("failures")
	crm.faults.set(rates={"garbage": 1.0})
	hub("sync", "customers-full", code=1)
	crm.faults.set()
	listed = hub("failures", "--stream", "customers-full")
	name = first_word(listed)
	shown = hub("failures", name)
	assert "Request: GET http://" in shown and "Answer: HTTP 200" in shown and "Traceback" in shown
	assert "1 failures are resolved" in hub("resolve", name)
	assert "(none)" in hub("failures") and name in hub("failures", "--all")
	assert "1 failures are open again" in hub("resolve", name, "--reopen")
	assert name in hub("failures")
	assert "does not exist" in hub("failures", "nope", code=1)
	assert "does not exist" in hub("resolve", name, "nope", code=1)
	assert name in hub("failures")


def test_failures_of_rejected_webhooks_are_closed_together(runtime, hub):
	post(runtime, {"id": "1", "event": "call.x"}, secret="guessed")
	assert "signature_wrong" in hub("failures", "--integration", "crm")
	assert "1 failures are resolved" in hub("resolve", "--rejected", "--integration", "crm")
	assert "(none)" in hub("failures")


@pytest.mark.parametrize(
	"words", [[], ["x", "--rejected"], ["x", "--integration", "crm"], ["--rejected", "--reopen"]]
)
def test_what_is_to_be_resolved_is_named_in_one_way(hub, words):
	hub("resolve", *words, code=2)


def test_records_that_failed_are_listed_with_payload_and_tried_again(runtime, hub, crm):
	ids = sorted(record["id"] for record in crm.customers.alive())[:2]
	crm.customers.set(ids[0], credit_limit="much")
	hub("sync", "customers-full", code=1)
	assert ids[1] in hub("records", "customers-full", "--limit", "300")
	shown = hub("records", "customers-full", "--failed")
	assert f"{ids[0]}: Failed" in shown and "much" in shown and ids[1] not in shown
	assert "0 of 1 records were written. 1 failed again" in hub("retry", "customers-full")
	assert "does not exist" in hub("records", "nope", code=1)


def test_a_failure_of_records_is_retried_by_its_name(runtime, hub, crm):
	first = sorted(record["id"] for record in crm.customers.alive())[0]
	crm.customers.set(first, credit_limit="much")
	hub("sync", "customers-full", code=1)
	name = first_word(hub("failures", "--stream", "customers-full"))
	assert "0 of 1 records were written" in hub("retry", name)
	with runtime.db.transaction():
		runtime.db.execute("UPDATE `tabExternal Record` SET `payload` = REPLACE(`payload`, 'much', '1')")
	assert "1 of 1 records were written" in hub("retry", name)
	assert "(none)" in hub("failures")


def test_a_failure_of_events_is_retried_by_its_name(runtime, hub):
	post(runtime, {"id": "e1", "event": "customer.updated", "data": {"id": "C1", "credit_limit": "much"}})
	hub("work", "--once")
	assert "1 events queued again" in hub("retry", first_word(hub("failures")))


@pytest.mark.parametrize("fault", ["garbage", "reset"])
def test_a_failure_of_runs_is_retried_by_its_name(hub, crm, fault):
	"""One of a stream, and one that all calls meet."""
	crm.faults.set(rates={fault: 1.0})
	hub("sync", "customers-full", code=1)
	name = first_word(hub("failures", "--integration", "crm"))
	assert "customers-full: Failed" in hub("retry", name, code=1)
	crm.faults.set()
	assert "customers-full: Completed" in hub("retry", name)
	assert "(none)" in hub("failures")


def test_a_failure_that_nothing_can_be_tried_of_says_so(runtime, hub):
	post(runtime, {"id": "1", "event": "call.x"}, secret="guessed")
	name = first_word(hub("failures"))
	assert f"Nothing of {name} can be tried again; `failures {name}` shows it" in hub("retry", name, code=1)
	assert "does not exist" in hub("retry", "customers-ful", code=1)
	assert "does not exist" in hub("retry", name, "--failure", name, code=1)


def test_an_event_is_shown_with_headers_payload_and_attempts(runtime, hub):
	post(runtime, {"id": "e1", "event": "customer.updated", "data": {"id": "C1", "name": "Jürgen"}})
	name = first_word(hub("events"))
	shown = hub("show", name)
	assert "Jürgen" in shown and "\\u00fc" not in shown and "event_type: customer.updated" in shown
	assert "Attempts:\n  (none)" in shown
	hub("work", "--once")
	assert re.search(r"Attempts:\n  \S+ \S+: Completed in \d", hub("show", name))
	post(runtime, {"id": "e1", "event": "customer.updated", "data": {"id": "C1", "name": "Jörg"}})
	[conflict] = [line.split()[0] for line in hub("events", "--status", "conflict").splitlines()[1:2]]
	shown = hub("show", conflict)
	assert f"In conflict with {name}:" in shown and '  data.name: "Jürgen" → "Jörg"' in shown
	assert "does not exist; `events` lists the newest" in hub("show", "nope", code=1)


def test_a_dry_run_ends_with_its_summary(hub):
	last = hub("sync", "--dry-run", "customers-full", "customers-cursor").splitlines()[-1]
	assert last == "Nothing was written. 2 streams: 500 fetched, 500 created."
	assert "(none)" in hub("runs")


def test_a_refused_get_is_not_told_as_refused_data():
	assert "refused the request" in str(InvalidRequest("x", method="GET", url="http://x", status=400))
	assert "refused the data" in str(InvalidRequest("x", method="POST", url="http://x", status=400))


def test_work_says_how_many_events_failed(runtime, hub, crm):
	post(runtime, {"id": "e1", "event": "customer.updated", "data": {"id": "C1", "credit_limit": "much"}})
	assert "1 events, 1 of them failed" in hub("work", "--once")


def test_what_is_open_to_others_is_told_once_and_again_when_it_changes(runtime, hub):
	(runtime.file.folder / "hub.toml").chmod(0o644)
	assert "open to others" in hub("runs")
	assert "open to others" not in hub("runs")
	(runtime.file.folder / "hub.toml").chmod(0o640)
	assert "open to others" in hub("events")
	for _ in range(2):
		assert "open to others" in hub("status")


def test_a_very_short_secret_is_told_and_not_shown(runtime, hub, monkeypatch):
	assert "shorter than 8" not in hub("status")
	monkeypatch.setenv("CRM_WEBHOOK_SECRET", "qzx")
	said = hub("status")
	assert "[integration.crm], webhook_secret is shorter than 8 characters" in said and "qzx" not in said
