"""Failures close when what failed was done since, one by one; until then no status says OK."""

from __future__ import annotations

import json
import re

import pytest
import redis

from integration_hub.connectors.redact import Redactor
from integration_hub.queues.consumer import consumer_for
from integration_hub.queues.consumer_loop import ConsumerLoop
from integration_hub.queues.state import QueueState
from integration_hub.runtime.status import lines
from integration_hub.sandbox.redis import free_port
from integration_hub.stores import failures, inbox
from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.error_log import record_error
from integration_hub.stores.inbox import Event
from integration_hub.stores.retention import clear_logs
from integration_hub.stores.runtime import HubError
from integration_hub.stores.settings import note_success, settings_row
from integration_hub.stores.status_facts import integration_of, standing_of
from integration_hub.sync.modes import Period
from integration_hub.sync.run import approve_deletions, run_stream
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.event_retries import MAX_ATTEMPTS
from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.rejections import reject
from integration_hub.webhooks.replay import replay
from tests.compare import errors

STREAM = "customers-incremental"


def stream(runtime, name: str = STREAM) -> dict:
	return settings_row(runtime.db, "Sync Settings", name)


def states(runtime) -> dict[str, str]:
	return {row["external_id"] or row["webhook_log"] or row["kind"]: row["status"] for row in errors(runtime)}


def send(runtime, kind: str, record: dict, number: int = 1) -> str:
	"""Put an event into the inbox as if an endpoint had taken it; return its name."""
	body = json.dumps({"id": f"{kind}{record['id']}{number}", "event": kind, "data": record})
	event = Event("crm", f"{kind}{record['id']}{number}", kind, body, f"{number}", "HTTP")
	inbox.store(runtime, [event])
	return runtime.db.query("SELECT MAX(`name`) AS `n` FROM `tabWebhook Log`")[0]["n"]


@pytest.fixture
def two_broken(runtime, crm):
	"""Two records fail for two causes."""
	crm.customers._rows["CUST-000003"]["active"] = "perhaps"
	crm.customers._rows["CUST-000007"]["credit_limit"] = "a lot"
	assert run_stream(runtime, STREAM)["status"] == "Partial"
	assert states(runtime) == {"CUST-000003": "Open", "CUST-000007": "Open"}
	return runtime


def test_a_run_that_tries_nothing_again_leaves_failures_open_and_the_stream_failing(two_broken):
	for _ in range(3):
		run_stream(two_broken, STREAM)
	row = run_stream(two_broken, STREAM)
	assert (row["status"], row["failed"]) == ("Completed", 0), "nothing was due"
	assert stream(two_broken)["status"] == "Failing"
	assert states(two_broken) == {"CUST-000003": "Open", "CUST-000007": "Open"}
	[why] = standing_of(two_broken, STREAM).why
	assert str(why) == "Records that could not be written: 2."


def test_failures_of_records_close_one_by_one(two_broken, crm):
	crm.customers.set("CUST-000003", active=True)
	run_stream(two_broken, STREAM)
	assert states(two_broken) == {"CUST-000003": "Resolved", "CUST-000007": "Open"}
	assert stream(two_broken)["status"] == "Failing"
	crm.customers.set("CUST-000007", credit_limit=1)
	run_stream(two_broken, STREAM)
	assert set(states(two_broken).values()) == {"Resolved"}
	assert stream(two_broken)["status"] == "OK"


def test_one_cause_of_many_records_stays_open_until_the_last_is_written(runtime, crm):
	for name in ("CUST-000003", "CUST-000004", "CUST-000005"):
		crm.customers._rows[name]["active"] = "perhaps"
	run_stream(runtime, STREAM)
	[error] = errors(runtime)
	assert (error["occurrences"], error["status"]) == (3, "Open")
	for name in ("CUST-000003", "CUST-000004"):
		crm.customers.set(name, active=True)
		run_stream(runtime, STREAM)
		assert errors(runtime)[0]["status"] == "Open"
	crm.customers.set("CUST-000005", active=True)
	run_stream(runtime, STREAM)
	assert errors(runtime)[0]["status"] == "Resolved"


def test_a_record_that_is_deleted_at_the_source_closes_its_failure(runtime, crm):
	crm.customers._rows["CUST-000003"]["active"] = "perhaps"
	run_stream(runtime, "customers-full")
	assert stream(runtime, "customers-full")["status"] == "Failing"
	crm.customers._deleted["CUST-000003"] = crm.customers._rows.pop("CUST-000003")
	run_stream(runtime, "customers-full")
	assert [error["status"] for error in errors(runtime)] == ["Resolved"]
	assert stream(runtime, "customers-full")["status"] == "OK"


def test_an_event_that_writes_the_record_closes_its_failure_and_mends_the_stream(runtime, crm):
	crm.customers._rows["CUST-000003"]["active"] = "perhaps"
	run_stream(runtime, "customers-full")
	send(runtime, "customer.updated", {**crm.customers._rows["CUST-000003"], "active": True})
	assert drain(runtime, "crm").completed == 1
	assert [error["status"] for error in errors(runtime)] == ["Resolved"]
	assert stream(runtime, "customers-full")["status"] == "OK"


def test_a_backfill_that_fails_in_part_shows_on_its_stream(runtime, crm):
	run_stream(runtime, STREAM)
	assert stream(runtime)["status"] == "OK"
	crm.customers._rows["CUST-000003"]["active"] = "perhaps"
	row = run_stream(runtime, STREAM, period=Period.read("2020-01-01"))
	assert row["status"] == "Partial"
	assert stream(runtime)["status"] == "Failing"
	assert stream(runtime)["last_status"] == "Completed", "its own turn went well"
	crm.customers._rows["CUST-000003"]["active"] = True
	assert run_stream(runtime, STREAM, period=Period.read("2020-01-01"))["status"] == "Completed"
	assert stream(runtime)["status"] == "OK"


def test_an_approval_hides_no_failed_record(runtime, crm):
	update(runtime.db, "Sync Settings", "customers-full", {"max_delete_count": 1, "max_delete_percent": 1})
	run_stream(runtime, "customers-full")
	crm.customers._rows["CUST-000003"]["active"] = "perhaps"
	crm.customers._rows["CUST-000003"]["updated_at"] = "2030-01-01T00:00:00Z"
	crm.customers.delete(20)
	held = run_stream(runtime, "customers-full")
	assert (held["status"], held["failed"]) == ("Needs Approval", 1)
	assert approve_deletions(runtime, held["name"])["status"] == "Completed"
	assert stream(runtime, "customers-full")["status"] == "Failing"
	assert settings_row(runtime.db, "Sync Log", held["name"])["status"] == "Partial"


def test_a_removal_that_failed_waits_for_a_person_still(runtime, crm, monkeypatch):
	from integration_hub.sync.bulk import BulkTarget

	update(runtime.db, "Sync Settings", "customers-full", {"max_delete_count": 1, "max_delete_percent": 1})
	run_stream(runtime, "customers-full")
	crm.customers.delete(20)
	held = run_stream(runtime, "customers-full")
	delete = BulkTarget.delete
	monkeypatch.setattr(
		BulkTarget, "delete", lambda self, names: {n: ValueError("linked") for n in names[:2]}
	)
	assert approve_deletions(runtime, held["name"])["status"] in ("Partial", "Failed")
	assert settings_row(runtime.db, "Sync Log", held["name"])["status"] == "Needs Approval"
	assert "Open" in states(runtime).values()
	monkeypatch.setattr(BulkTarget, "delete", delete)
	assert approve_deletions(runtime, held["name"])["status"] == "Completed"
	assert settings_row(runtime.db, "Sync Log", held["name"])["status"] == "Completed"
	assert set(states(runtime).values()) == {"Resolved"}
	assert stream(runtime, "customers-full")["status"] == "OK"


def test_a_run_that_comes_to_its_end_closes_what_broke_an_earlier_one_off(runtime, crm):
	crm.faults.set(following=["500"] * 20)
	assert run_stream(runtime, STREAM)["status"] == "Failed"
	assert stream(runtime)["consecutive_failures"] == 1
	crm.faults.set()
	crm.customers._rows["CUST-000003"]["active"] = "perhaps"
	assert run_stream(runtime, STREAM)["status"] == "Partial"
	assert {row["kind"]: row["status"] for row in errors(runtime) if not row["external_id"]} == {
		"Server": "Resolved"
	}
	row = stream(runtime)
	assert row["status"] == "Failing" and not row["last_success_at"], "no success beside a failing status"


def test_a_stream_whose_every_record_fails_counts_its_failures_and_is_asked_in_time(runtime, crm):
	for row in crm.customers._rows.values():
		row["active"] = "perhaps"
	update(runtime.db, "Sync Settings", STREAM, {"schedule": "Interval", "interval_minutes": 10})
	for number in (1, 2, 3):
		runtime.db.execute("UPDATE `tabSync Settings` SET `checkpoint` = NULL")
		runtime.db.execute("DELETE FROM `tabExternal Record`")
		assert run_stream(runtime, STREAM)["status"] == "Failed"
		assert stream(runtime)["consecutive_failures"] == number
	assert stream(runtime)["next_run_at"] < runtime.now(ahead=11 * 60)


# Events


def test_an_events_failure_closes_when_it_is_replayed_well(runtime, crm):
	record = {**crm.customers.alive()[0], "active": "perhaps"}
	event = send(runtime, "customer.updated", record)
	assert drain(runtime, "crm").failed == 1
	assert states(runtime) == {event: "Open"}
	assert integration_of(runtime, "crm").status == "Failing"
	body = runtime.db.query("SELECT `payload` FROM `tabWebhook Log`")[0]["payload"]
	update(runtime.db, "Webhook Log", event, {"payload": body.replace("perhaps", "yes")})
	replay(runtime, [event])
	assert drain(runtime, "crm").completed == 1
	assert states(runtime) == {event: "Resolved"}
	assert integration_of(runtime, "crm").status == "OK"


def test_the_last_of_several_events_closes_their_failure(runtime, crm):
	broken = [{**record, "active": "perhaps"} for record in crm.customers.alive()[:3]]
	events = [send(runtime, "customer.updated", record) for record in broken]
	assert drain(runtime, "crm").failed == 3
	[error] = errors(runtime)
	runtime.db.execute("UPDATE `tabWebhook Log` SET `payload` = REPLACE(`payload`, 'perhaps', 'yes')")
	replay(runtime, events[:2])
	drain(runtime, "crm")
	assert errors(runtime)[0]["status"] == "Open"
	replay(runtime, events[2:])
	drain(runtime, "crm")
	assert [(row["name"], row["status"]) for row in errors(runtime)] == [(error["name"], "Resolved")]


def test_dead_events_that_are_cleared_close_their_failure(runtime, crm):
	event = send(runtime, "customer.updated", {**crm.customers.alive()[0], "active": "perhaps"})
	update(runtime.db, "Webhook Log", event, {"attempts": MAX_ATTEMPTS - 1})
	drain(runtime, "crm")
	assert settings_row(runtime.db, "Webhook Log", event)["status"] == "Dead"
	update(runtime.db, "Integration Settings", "crm", {"keep_dead_days": 1})
	update(runtime.db, "Webhook Log", event, {"modified": runtime.now(ahead=-3 * 86400)})
	clear_logs(runtime)
	assert [row["status"] for row in errors(runtime)] == ["Resolved"]


# Calls


def test_an_answer_closes_failures_of_calls_and_not_of_streams(runtime):
	for operation, where in (("Call", {}), ("Test Connection", {}), ("Sync", {"stream": STREAM})):
		in_transaction(
			runtime.db,
			lambda operation=operation, where=where: record_error(
				runtime,
				ValueError(operation),
				operation=operation,
				integration="crm",
				redactor=Redactor(),
				**where,
			),
		)
	in_transaction(runtime.db, lambda: note_success(runtime, "crm"))
	assert {row["operation"]: row["status"] for row in errors(runtime)} == {
		"Call": "Resolved",
		"Test Connection": "Resolved",
		"Sync": "Open",
	}


def test_one_cause_is_one_failure_whatever_meets_it(make_runtime, crm):
	runtime = make_runtime()
	crm.__exit__()
	for name in ("customers-full", "customers-incremental", "customers-cursor"):
		assert run_stream(runtime, name)["status"] == "Failed"
	assert [(row["kind"], row["occurrences"], row["status"]) for row in errors(runtime)] == [
		("Connection", 3, "Open")
	]
	assert [str(why) for why in integration_of(runtime, "crm").why] == [
		"Failing streams: 3.",
		"The last request failed.",
	]
	in_transaction(runtime.db, lambda: note_success(runtime, "crm"))
	assert errors(runtime)[0]["status"] == "Resolved"
	assert stream(runtime)["status"] == "Failing", "it has not run since"


# Queues


@pytest.fixture
def queue(make_runtime, redis_url):
	redis.from_url(redis_url).flushall()
	return make_runtime(redis_url=redis_url)


def test_a_dead_redis_shows_on_its_integration(make_runtime):
	runtime = make_runtime(redis_url=f"redis://127.0.0.1:{free_port()}")
	assert integration_of(runtime, "crm").status == "New"
	running = ConsumerLoop(runtime, "crm")
	for _ in range(3):
		with pytest.raises(redis.ConnectionError) as caught:
			running._follow_settings()
			running._step()
		running._failed(caught.value)
	row = settings_row(runtime.db, "Integration Settings", "crm")
	assert "refused" in row["queue_error"]
	found = integration_of(runtime, "crm")
	assert found.status == "Failing" and "The queue cannot be read" in found.why[0]
	assert [error["status"] for error in errors(runtime)] == ["Open"]


def test_a_queue_that_is_read_says_when_and_how_much_waits(queue, redis_url):
	client = redis.from_url(redis_url)
	state = QueueState(queue, "crm")
	state.fails(ValueError("away"), Redactor())
	client.lpush("crm_events", *[json.dumps({"type": "x", "n": n}) for n in range(150)])
	consumer = consumer_for(queue, "crm")
	consumer.recover()
	state.goes_well(consumer, took=consumer.run_once() > 0)
	row = settings_row(queue.db, "Integration Settings", "crm")
	assert row["queue_depth"] == 50 and row["queue_error"] is None
	assert row["queue_read_at"] and row["queue_message_at"]
	assert [error["status"] for error in errors(queue)] == ["Resolved"]


def test_a_stream_as_a_queue_says_how_much_waits(make_runtime, redis_url):
	redis.from_url(redis_url).flushall()
	runtime = make_runtime(
		(
			'queue_name = "crm_events"',
			'queue_name = "crm_events"\nqueue_kind = "Stream"\nqueue_group = "hub"',
		),
		redis_url=redis_url,
	)
	client = redis.from_url(redis_url)
	consumer = consumer_for(runtime, "crm")
	consumer.recover()
	for number in range(7):
		client.xadd("crm_events", {"data": json.dumps({"type": "x", "n": number})})
	assert consumer.waiting() in (7, None)
	consumer.drain()
	assert consumer.waiting() in (0, None)


def test_a_queue_that_nobody_reads_any_more_is_told_of(queue):
	update(queue.db, "Integration Settings", "crm", {"queue_read_at": queue.now(ahead=-3600)})
	update(queue.db, "Integration Settings", "crm", {"modified": queue.now(ahead=-7200)})
	assert [str(why) for why in integration_of(queue, "crm").why] == ["Nobody reads the queue."]


# A person


def test_failures_are_listed_read_and_resolved_without_a_bench(two_broken):
	runtime = two_broken
	found = failures.find(runtime, stream=STREAM)
	assert [row["external_id"] for row in [failures.get(runtime, one["name"]) for one in found]]
	assert len(found) == 2 and failures.find(runtime, status="Resolved") == []
	names = [row["name"] for row in found]
	with pytest.raises(HubError, match="does not exist"):
		in_transaction(runtime.db, lambda: failures.mark(runtime, [*names, "nothing"], "Resolved"))
	assert len(failures.find(runtime)) == 2
	assert in_transaction(runtime.db, lambda: failures.mark(runtime, names, "Resolved")) == 2
	assert failures.find(runtime) == []
	assert stream(runtime)["status"] == "Failing", "its records are not written by that"
	with pytest.raises(HubError, match="neither"):
		failures.mark(runtime, names, "Gone")


def test_failed_records_are_listed_with_what_the_source_sent(two_broken):
	found = failures.records(two_broken, STREAM, statuses=("Failed", "Dead"), payload=True)
	assert [row["external_id"] for row in found] == ["CUST-000003", "CUST-000007"]
	assert json.loads(found[0]["payload"])["active"] == "perhaps"
	only = failures.records(two_broken, STREAM, error_log=found[1]["error_log"])
	assert [row["external_id"] for row in only] == ["CUST-000007"]


def test_rejected_requests_are_resolved_together(runtime):
	reject(runtime, Request("crm", "POST", {}, b"x"), Response(401, "signature_wrong"), known=True)
	assert [row["status"] for row in errors(runtime)] == ["Open"]
	assert integration_of(runtime, "crm").status == "New", (
		"a stranger's request is no failure of the integration"
	)
	assert in_transaction(runtime.db, lambda: failures.resolve_rejections(runtime, "crm")) == 1
	assert [row["status"] for row in errors(runtime)] == ["Resolved"]


def test_status_on_the_command_line_says_what_is_wrong_with_a_queue(queue):
	QueueState(queue, "crm").fails(ValueError("away"), Redactor())
	said = "\n".join(lines(queue))
	assert re.search(r"^crm +Failing", said, re.MULTILINE)
	assert "crm: The queue cannot be read: away" in said
	assert "QUEUE OF" in said
