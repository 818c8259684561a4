"""Events through the receiver, over HTTP, into the inbox, handled once."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.serving import make_server

from integration_hub.commands import integration_hub
from integration_hub.connectors.redact import Redactor
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.worker import work_once
from integration_hub.sandbox import sender
from integration_hub.stores import claims, inbox
from integration_hub.stores.ids import new_id
from integration_hub.webhooks import batch
from integration_hub.webhooks.batch import Batch, Drained
from integration_hub.webhooks.drain import drain, sweep
from integration_hub.webhooks.event_retries import EventRetries
from integration_hub.webhooks.messages import MAX_BODY, Request
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.receiver import receiver
from tests.compare import errors, source, table
from tests.marking import begin

HANDLED: list[dict] = []


def remember(payload: dict, event: dict) -> None:
	"""A handler function, registered in the tests' hub.toml."""
	HANDLED.append({**event, "payload": payload})
	if payload.get("fail"):
		raise ValueError("this handler fails with password=hunter22")


@pytest.fixture
def hub(make_runtime) -> StandaloneRuntime:
	HANDLED.clear()
	route = '[[integration.crm.routes]]\nevent_pattern = "call.*"\naction = "Call Function"\nhandler = "remember"\n\n'
	first = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'
	handlers = '[handlers]\nremember = "tests.test_webhooks.remember"\n\n[hub]'
	return make_runtime((first, route + first), ("[hub]", handlers))


@pytest.fixture
def endpoint(hub) -> Iterator[str]:
	path = hub.file.folder / "hub.toml"
	server = make_server("127.0.0.1", 0, receiver(lambda: StandaloneRuntime(path)), threaded=True)
	thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
	thread.start()
	yield f"http://127.0.0.1:{server.server_port}/webhooks/crm"
	server.shutdown()


def rows(runtime: StandaloneRuntime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")


def post(endpoint: str, body: dict | bytes, secret: str = sender.SECRET, **headers: str) -> requests.Response:
	raw = body if isinstance(body, bytes) else json.dumps(body).encode()
	signed = {sender.HEADER: sender.sign(raw, secret), "Content-Type": "application/json", **headers}
	return requests.post(endpoint, data=raw, headers=signed, timeout=10)


def test_a_signed_event_is_logged_once_handled_once_and_answered_again(hub, endpoint, crm):
	record = crm.customers.alive()[0]
	delivery = sender.make("customer.created", record)
	answers = [sender.send(endpoint, delivery) for _ in range(3)]
	assert [(a.status_code, a.json()["status"]) for a in answers] == [
		(200, "received"),
		(200, "duplicate"),
		(200, "duplicate"),
	]
	work_once(hub)
	[row] = rows(hub)
	assert (row["status"], row["deliveries"], row["attempts"]) == ("Completed", 3, 1)
	assert [r["customer_id"] for r in table(hub, "full")] == [r["id"] for r in crm.customers.alive()]
	assert row["reference_doctype"] == "Sandbox Customer" and row["reference_name"]


def test_many_posts_of_one_event_at_once_make_one_row(hub, endpoint, crm):
	delivery = sender.make("customer.created", crm.customers.alive()[0])
	with ThreadPoolExecutor(16) as pool:
		answers = list(pool.map(lambda _: sender.send(endpoint, delivery).json()["status"], range(32)))
	assert sorted(set(answers)) == ["duplicate", "received"] and answers.count("received") == 1
	assert len(rows(hub)) == 1


def test_the_same_id_with_another_body_is_a_visible_conflict(hub, endpoint):
	assert post(endpoint, {"id": "e1", "event": "call.x", "n": 1}).json()["status"] == "received"
	answer = post(endpoint, {"id": "e1", "event": "call.x", "n": 2})
	assert (answer.status_code, answer.json()["status"]) == (202, "conflict")
	assert post(endpoint, {"id": "e1", "event": "call.x", "n": 2}).json()["status"] == "conflict"
	assert [row["status"] for row in rows(hub)] == ["Queued", "Conflict"]


@pytest.mark.parametrize(
	("change", "status", "reason"),
	[
		({"secret": "guessed"}, 401, "signature_wrong"),
		({sender.HEADER: ""}, 401, "signature_missing"),
		({sender.HEADER: "é" * 3}, 401, "signature_wrong"),
		({sender.HEADER: "a" * 5000}, 401, "signature_malformed"),
		({"path": "nosuch"}, 404, "unknown_integration"),
		({"path": ""}, 404, "unknown_integration"),
		({"body": b"{not json"}, 400, "body_not_json"),
		({"body": b"[NaN]"}, 400, "body_not_json"),
		({"body": b"\xff\xfe"}, 400, "body_not_utf8"),
		({"body": b'"text"'}, 400, "body_not_an_object"),
		({"body": b"[" * 100_000}, 400, "body_too_deep"),
		({"body": b'{"a":' * 20_000 + b"1" + b"}" * 20_000}, 400, "body_too_deep"),
		({"body": b"x" * (MAX_BODY + 1)}, 413, "body_too_large"),
		({"method": "GET"}, 405, "method_not_allowed"),
	],
)
def test_what_is_not_accepted_is_told_why_and_changes_nothing(hub, change, status, reason):
	body = change.get("body", b'{"id": "e1", "event": "call.x"}')
	headers = {
		sender.HEADER.lower(): change.get(
			sender.HEADER, sender.sign(body, change.get("secret", sender.SECRET))
		)
	}
	answer = receive(hub, Request(change.get("path", "crm"), change.get("method", "POST"), headers, body))
	assert (answer.status, answer.reason) == (status, reason)
	assert rows(hub) == []


def test_a_disabled_integration_answers_like_an_unknown_one(make_runtime):
	runtime = make_runtime(("[integration.crm]\n", "[integration.crm]\nenabled = false\n"))
	body = b"{}"
	answer = receive(runtime, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body))
	assert answer.status == 404


def test_an_empty_secret_rejects_everything(make_runtime, monkeypatch):
	runtime = make_runtime()
	monkeypatch.setenv("CRM_WEBHOOK_SECRET", "")
	body = b'{"id": "e1", "event": "call.x"}'
	forged = hmac.new(b"", body, hashlib.sha256).hexdigest()
	answer = receive(runtime, Request("crm", "POST", {sender.HEADER.lower(): forged}, body))
	assert (answer.status, answer.reason) == (401, "no_secret_set")


def test_two_secrets_are_accepted_while_one_is_rotated(make_runtime, monkeypatch):
	monkeypatch.setenv("OLD", "older-secret")
	runtime = make_runtime(
		("webhook_enabled = true", 'webhook_enabled = true\nwebhook_secret_old = "env:OLD"')
	)
	for number, secret in enumerate((sender.SECRET, "older-secret")):
		body = json.dumps({"id": str(number), "event": "x"}).encode()
		assert (
			receive(
				runtime, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body, secret)}, body)
			).status
			== 202
		)


def test_a_failing_handler_is_tried_again_and_at_last_dead(hub):
	body = b'{"id": "e1", "event": "call.x", "fail": true}'
	receive(hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body))
	for attempt in range(1, 9):
		hub.db.execute(
			"UPDATE `tabWebhook Log` SET `next_attempt_at` = %s WHERE `status` = 'Failed'", [hub.now()]
		)
		drain(hub, "crm")
		[row] = rows(hub)
		assert (row["attempts"], row["status"]) == (attempt, "Dead" if attempt == 8 else "Failed")
	assert len(HANDLED) == 8
	[error] = errors(hub)
	assert error["occurrences"] == 8 and "hunter22" not in str(error)

	inbox.requeue(hub, [row["name"]])
	drain(hub, "crm")
	assert len(HANDLED) == 9, "a dead event can be replayed"


def test_a_handlers_writes_and_its_completion_commit_together(hub, crm):
	"""The record is written, the completion cannot be: nothing of it stays."""
	delivery = sender.make("customer.created", crm.customers.alive()[0])
	receive(hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(delivery.body)}, delivery.body))
	[claimed] = claims.claim_due(hub, "crm", 10)
	hub.db.execute("UPDATE `tabWebhook Log` SET `claim` = 'another'")
	Batch(hub, "crm", Redactor(), Drained()).handle([claimed], time.monotonic() + 60)
	assert table(hub, "full") == []


def test_rows_of_a_dead_worker_are_taken_up_again(hub):
	body = b'{"id": "e1", "event": "call.x"}'
	receive(hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body))
	assert claims.claim_due(hub, "crm", 10)
	assert sweep(hub) == [], "a fresh claim is left alone"
	hub.db.execute("UPDATE `tabWebhook Log` SET `claimed_at` = %s", [hub.now(ahead=-3600)])
	assert sweep(hub) == ["crm"]
	assert drain(hub, "crm").completed == 1


def test_what_a_killed_worker_had_in_hand_is_taken_up_at_once(hub):
	body = b'{"id": "e1", "event": "call.x"}'
	receive(hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body))
	code = """if True:
		import sys
		from integration_hub.runtime.standalone import StandaloneRuntime
		from integration_hub.stores import claims
		runtime = StandaloneRuntime(sys.argv[1])
		with claims.slot(runtime, "crm") as slot:
			print(len(claims.claim_due(runtime, "crm", 10, slot)), flush=True)
			sys.stdin.read()
	"""
	command = [sys.executable, "-c", code, str(hub.file.folder / "hub.toml")]
	with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
		assert worker.stdout.readline() == "1\n"
		assert sweep(hub) == [], "its owner lives"
		with claims.slot(hub, "crm") as another:
			assert another == "1"
		worker.kill()
	assert sweep(hub) == ["crm"]
	assert drain(hub, "crm").completed == 1
	assert HANDLED[0]["attempts"] == 2, "the killed attempt counts: an event that kills its worker ends Dead"


def test_an_unknown_event_waits_unrouted_and_can_be_replayed(hub, endpoint):
	answer = post(endpoint, {"id": "e1", "event": "order.placed"})
	assert (answer.status_code, answer.json()["status"]) == (202, "unrouted")
	work_once(hub)
	[row] = rows(hub)
	assert row["status"] == "Unrouted"
	hub.db.execute(
		"UPDATE `tabWebhook Route` SET `event_pattern` = 'order.*' WHERE `action` = 'Call Function'"
	)
	inbox.requeue(hub, [row["name"]])
	drain(hub, "crm")
	assert rows(hub)[0]["status"] == "Completed" and HANDLED[0]["event_id"] == "e1"


def test_an_old_event_does_not_undo_a_newer_state(hub, crm):
	old = crm.customers.alive()[0]
	new = crm.customers.set(old["id"], city="Newtown")
	for record in (new, old):
		delivery = sender.make("customer.updated", record)
		receive(
			hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(delivery.body)}, delivery.body)
		)
		drain(hub, "crm")
	assert [row["city"] for row in table(hub, "full")] == ["Newtown"]
	assert [row["status"] for row in rows(hub)] == ["Completed", "Completed"]


def test_changes_by_webhook_alone_keep_the_target_equal(hub, endpoint, crm):
	work_once(hub)
	assert table(hub, "full") == source(crm)
	before = crm.customers.counts()["changes"]
	crm.change(create=5, update=20, delete=5)
	for entry in crm.customers.changes(before, 100)[0]:
		assert (
			sender.send(endpoint, sender.make(f"customer.{entry['type']}", entry["record"])).status_code
			== 200
		)
	work_once(hub)
	assert table(hub, "full") == source(crm)


def test_retries_take_about_a_day():
	assert 12 * 3600 < sum(EventRetries().delay(attempt, new_id()) for attempt in range(1, 8)) < 36 * 3600


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
	body=st.binary(max_size=200)
	| st.text(max_size=100).map(str.encode)
	| st.builds(
		lambda v: json.dumps(v).encode(),
		st.recursive(
			st.none() | st.booleans() | st.floats() | st.text(),
			lambda c: st.lists(c) | st.dictionaries(st.text(), c),
			max_leaves=5,
		),
	),
	signature=st.text(max_size=80) | st.just("valid"),
	method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT", ""]),
	name=st.sampled_from(["crm", "crm", "crm", "other", "", "%00", "../crm"]) | st.text(max_size=10),
)
def test_any_request_gets_a_declared_answer(hub, body, signature, method, name):
	given_signature = sender.sign(body) if signature == "valid" else signature
	answer = receive(hub, Request(name, method, {sender.HEADER.lower(): given_signature}, body))
	assert answer.status in (200, 202, 400, 401, 404, 405), answer


def put(hub: StandaloneRuntime, body: dict) -> None:
	raw = json.dumps(body).encode()
	assert receive(hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(raw)}, raw)).status == 200


def test_an_event_that_kills_its_worker_ends_dead_and_takes_no_other_with_it(hub):
	for number in range(20):
		put(hub, {"id": f"e{number:02}", "event": "call.x"})
	for _ in range(40):
		claimed = claims.claim_due(hub, "crm", 100)
		if claimed and claimed[0]["event_id"] == "e00":  # the worker dies with what it has claimed
			hub.db.execute(
				"UPDATE `tabWebhook Log` SET `claimed_at` = '2000-01-01' WHERE `status` = 'Processing'"
			)
			sweep(hub)
			continue
		if not claimed:
			break
		claims.give_back(hub, claimed)
		drain(hub, "crm")
	states = {row["event_id"]: row["status"] for row in rows(hub)}
	assert states.pop("e00") == "Dead" and set(states.values()) == {"Completed"}


def test_a_delete_that_arrives_before_the_create_holds(hub, crm):
	record = crm.customers.alive()[0]
	put(
		hub,
		{"id": "e1", "event": "customer.deleted", "data": {**record, "updated_at": "2026-02-01T00:00:00Z"}},
	)
	put(hub, {"id": "e2", "event": "customer.created", "data": record})
	drain(hub, "crm")
	assert table(hub, "full") == []
	later = {**record, "updated_at": "2026-03-01T00:00:00Z"}
	put(hub, {"id": "e3", "event": "customer.created", "data": later})
	drain(hub, "crm")
	assert len(table(hub, "full")) == 1, "made again after that, it is there again"


def test_a_page_fetched_before_a_delete_event_does_not_bring_the_record_back(hub, crm):
	from integration_hub.sync.page_writer import PageWriter
	from integration_hub.sync.run import load_stream, run_stream

	run_stream(hub, "customers-full")
	writer = PageWriter(
		hub,
		load_stream(hub, "customers-full"),
		Redactor(),
		mark=begin(hub, "customers-full"),
		operation="Sync",
	)
	page = crm.customers.alive()
	crm.customers.delete(1)
	gone = crm.customers.changes(250, 10)[0][0]["record"]
	put(hub, {"id": "e1", "event": "customer.deleted", "data": gone})
	drain(hub, "crm")
	with hub.db.transaction():
		writer.write(page)
	assert table(hub, "full") == source(crm)


def test_a_drain_ends_at_its_time_and_gives_the_rest_back(hub, monkeypatch):
	for number in range(5):
		put(hub, {"id": f"e{number}", "event": "call.x"})
	deadline = time.monotonic() + 60
	monkeypatch.setattr(batch, "_TOGETHER_SECONDS", 0)
	monkeypatch.setattr(batch.time, "monotonic", lambda: deadline if len(HANDLED) == 2 else 0)
	done = Drained()
	Batch(hub, "crm", Redactor(), done).handle(claims.claim_due(hub, "crm", 100), deadline)
	assert done.completed == 2
	left = [row for row in rows(hub) if row["status"] == "Queued"]
	assert len(left) == 3 and {row["attempts"] for row in left} == {0}


def test_an_event_starts_a_sync_even_of_a_stream_without_a_schedule(make_runtime, crm):
	runtime = make_runtime(
		(
			'[[integration.crm.routes]]\nevent_pattern = "customer.deleted"',
			'[[integration.crm.routes]]\nevent_pattern = "export.ready"\naction = "Start Sync"\nstream = "customers-cursor"\n\n[[integration.crm.routes]]\nevent_pattern = "customer.deleted"',
		),
		('endpoint = "/v1/changes"', 'schedule = "Off"\nendpoint = "/v1/changes"'),
	)
	body = b'{"id": "e1", "event": "export.ready"}'
	receive(runtime, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body))
	work_once(runtime)
	assert table(runtime, "cursor") == source(crm)
	assert work_once(runtime).runs == 0, "once"


def test_an_old_tombstone_in_the_overlap_leaves_what_was_made_again_alone(hub, crm):
	from integration_hub.sync.page_writer import PageWriter
	from integration_hub.sync.run import load_stream

	record = {**crm.customers.alive()[0], "updated_at": "2026-01-01T00:00:10Z"}
	tombstone = {**record, "updated_at": "2026-01-01T00:00:05Z"}
	names = set()
	for _ in range(3):  # three quiet runs, each of which reads the overlap again
		writer = PageWriter(
			hub,
			load_stream(hub, "customers-full"),
			Redactor(),
			mark=begin(hub, "customers-full"),
			operation="Sync",
		)
		with hub.db.transaction():
			writer.write([tombstone], deleted=True)
			writer.write([record])
		names |= {row["name"] for row in hub.db.query("SELECT `name` FROM `tabSandbox Customer`")}
	assert len(names) == 1


def test_a_late_event_does_not_bring_back_what_an_undated_deletion_took_and_a_tombstone_dates(hub, crm):
	from integration_hub.sync.page_writer import PageWriter
	from integration_hub.sync.run import load_stream

	def listed(record: dict, deleted: bool) -> None:
		writer = PageWriter(
			hub,
			load_stream(hub, "customers-full"),
			Redactor(),
			mark=begin(hub, "customers-full"),
			operation="Sync",
		)
		with hub.db.transaction():
			writer.write([record], deleted=deleted)

	def told(kind: str, record: dict) -> None:
		body = sender.make(kind, record).body
		assert (
			receive(hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body)).status
			< 300
		)
		assert drain(hub, "crm").completed == 1

	record = {**crm.customers.alive()[0], "updated_at": "2026-01-01T00:00:00Z"}
	listed(record, deleted=False)
	told("customer.deleted", {"id": record["id"]})
	listed({**record, "updated_at": "2026-01-01T00:00:10Z"}, deleted=True)
	told("customer.updated", {**record, "updated_at": "2026-01-01T00:00:05Z"})
	assert not table(hub, "full")


def command(hub: StandaloneRuntime, *arguments: str, expected: int = 0) -> str:
	done = CliRunner().invoke(integration_hub, ["--config", str(hub.file.folder / "hub.toml"), *arguments])
	assert done.exit_code == expected, done.output
	return done.output


def test_a_dry_run_shows_what_a_replay_would_change_and_changes_nothing(hub, crm):
	record = crm.customers.alive()[0]
	put(hub, {"id": "e1", "event": "customer.created", "data": {**record, "city": "Oldtown"}})
	drain(hub, "crm")
	hub.db.execute("UPDATE `tabSandbox Customer` SET `city` = 'Elsewhere'")
	hub.db.execute("UPDATE `tabExternal Record` SET `content_hash` = '', `source_time` = ''")
	put(hub, {"id": "e2", "event": "customer.deleted", "data": record})
	put(hub, {"id": "e3", "event": "call.x"})
	put(
		hub,
		{"id": "e4", "event": "customer.created", "data": {**record, "id": "C-2", "credit_limit": "a lot"}},
	)
	put(hub, {"id": "e5", "event": "customer.created", "data": {**record, "id": "C-3"}})
	before = (rows(hub), table(hub, "full"))
	first, *others = [row["name"] for row in rows(hub)]
	assert command(hub, "replay", "--dry-run", first).splitlines() == [
		f"{first}: Updates Sandbox Customer {rows(hub)[0]['reference_name']}",
		"  city: 'Elsewhere' → 'Oldtown'",
	]
	shown = command(hub, "replay", "--dry-run", *others)
	for text in (
		"Deletes Sandbox Customer",
		"Call Function: remember",
		"would fail",
		"Creates Sandbox Customer",
	):
		assert text in shown
	assert "customer_id: None → 'C-3'" in shown
	assert (rows(hub), table(hub, "full")) == before and HANDLED == []


def test_events_are_replayed_by_name_by_failure_and_by_time(hub):
	for number in range(3):
		put(hub, {"id": f"e{number}", "event": "call.x", "fail": number == 2})
	drain(hub, "crm")
	names = [row["name"] for row in rows(hub)]
	assert command(hub, "replay", "--failed", "--integration", "crm") == "1 events queued again.\n"
	drain(hub, "crm")
	assert command(hub, "replay", names[0]) == "1 events queued again.\n"
	drain(hub, "crm")
	hub.db.execute("UPDATE `tabWebhook Log` SET `received_at` = '2020-01-01' WHERE `name` = %s", [names[0]])
	assert command(hub, "replay", "--since", "2021-01-01") == "2 events queued again.\n"
	hub.db.execute("UPDATE `tabWebhook Log` SET `payload` = NULL")
	assert command(hub, "replay", *names) == (
		"0 events queued again.\n3 left: being handled, a conflict, or without their body.\n"
	)
	assert "Webhook Log no-such – does not exist" in command(hub, "replay", "no-such", expected=1)
	assert "no-such" in command(hub, "replay", "--failed", "--integration", "no-such", expected=1)


def test_a_conflict_is_handled_when_it_is_named_as_one(hub, endpoint):
	post(endpoint, {"id": "e1", "event": "call.x"})
	post(endpoint, {"id": "e1", "event": "call.x", "n": 2})
	drain(hub, "crm")
	first, second = (row["name"] for row in rows(hub))
	assert command(hub, "replay", second).startswith("0 events queued again.")
	assert command(hub, "replay", "--conflict", first).startswith("0 events queued again.")
	assert command(hub, "replay", "--conflict", second) == "1 events queued again.\n"
	drain(hub, "crm")
	assert [row["status"] for row in rows(hub)] == ["Completed", "Completed"]
	assert CliRunner().invoke(integration_hub, ["replay", "--conflict", "--failed"]).exit_code == 2


def test_events_are_listed_with_the_names_that_replay_takes(hub):
	for number in range(3):
		put(hub, {"id": f"e{number}", "event": "call.x", "fail": number == 2})
	drain(hub, "crm")
	[head, failed, *_] = command(hub, "events", "--status", "Failed").splitlines()
	assert head.split() == ["EVENT", "RECEIVED", "INTEGRATION", "TYPE", "STATUS", "ATTEMPTS", "ERROR"]
	[row] = [row for row in rows(hub) if row["status"] == "Failed"]
	assert failed.startswith(row["name"]) and "call.x" in failed and "this handler fails" in failed
	assert len(command(hub, "events", "--limit", "2").splitlines()) == 4  # head, two, and an empty line
	assert CliRunner().invoke(integration_hub, ["replay"]).exit_code == 2
