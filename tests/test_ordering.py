"""Events that share a key: one at a time and in their order, whatever happens to those before them."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox import sender
from integration_hub.stores import claims, inbox, ordering
from integration_hub.webhooks import Defer
from integration_hub.webhooks.defer import MAX_DEFERRALS
from integration_hub.webhooks.drain import drain, sweep
from integration_hub.webhooks.event_retries import MAX_ATTEMPTS
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive

HANDLED: list[str] = []
FAILING: set[str] = set()
DEFERRING: set[str] = set()


def handler(payload: dict, event: dict) -> None:
	"""Registered in the tests' hub.toml."""
	if payload["id"] in FAILING:
		raise ValueError("it fails")
	if payload["id"] in DEFERRING:
		raise Defer(5)
	HANDLED.append(payload["id"])


@pytest.fixture
def hub(make_runtime) -> StandaloneRuntime:
	for kept in (HANDLED, FAILING, DEFERRING):
		kept.clear()
	route = (
		'[[integration.crm.routes]]\nevent_pattern = "*"\naction = "Call Function"\nhandler = "handler"\n\n'
	)
	first = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'
	return make_runtime(
		(first, route + first),
		("[hub]", '[handlers]\nhandler = "tests.test_ordering.handler"\n\n[hub]'),
		('event_id_path = "id"', 'event_id_path = "id"\nordering_key_path = "order"'),
	)


def put(hub: StandaloneRuntime, *ids: str) -> None:
	"""Store events; an id's letter is its ordering key."""
	for name in ids:
		body = json.dumps({"id": name, "event": "x", "order": name[0]}).encode()
		assert (
			receive(hub, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body)).status
			== 200
		)


def retry_now(hub: StandaloneRuntime) -> None:
	hub.db.execute(
		"UPDATE `tabWebhook Log` SET `next_attempt_at` = %s WHERE `next_attempt_at` IS NOT NULL", [hub.now()]
	)


def states(hub: StandaloneRuntime) -> dict[str, str]:
	return {row["event_id"]: row["status"] for row in hub.db.query("SELECT * FROM `tabWebhook Log`")}


def test_what_is_behind_a_failed_event_waits_for_it_and_other_keys_do_not(hub):
	put(hub, "a1", "b1", "a2", "b2", "a3")
	FAILING.add("a1")
	drain(hub, "crm")
	assert HANDLED == ["b1", "b2"]
	put(hub, "a4", "b3")
	drain(hub, "crm")
	assert HANDLED == ["b1", "b2", "b3"]
	assert states(hub)["a1"] == "Failed" and states(hub)["a2"] == "Queued"
	FAILING.clear()
	retry_now(hub)
	drain(hub, "crm")
	assert HANDLED[3:] == ["a1", "a2", "a3", "a4"]


def test_a_dead_event_holds_nobody_back(hub):
	put(hub, "a1", "a2")
	FAILING.add("a1")
	for _ in range(MAX_ATTEMPTS):
		retry_now(hub)
		drain(hub, "crm")
	assert states(hub) == {"a1": "Dead", "a2": "Completed"}


def test_a_long_queue_behind_one_key_does_not_block_the_others(hub):
	put(hub, "a0")
	FAILING.add("a0")
	drain(hub, "crm")
	put(hub, *(f"a{number}" for number in range(1, 250)), "b1")
	assert drain(hub, "crm").completed == 1
	assert HANDLED == ["b1"]


def test_what_waits_for_a_retry_wakes_nobody(hub, monkeypatch):
	woken: list[str] = []
	monkeypatch.setattr(hub, "enqueue_drain", lambda integration, number=0: woken.append(integration))
	put(hub, "a1")
	FAILING.add("a1")
	drain(hub, "crm")
	woken.clear()
	put(hub, "a2", "a3")
	assert (woken, sweep(hub)) == ([], [])
	put(hub, "b1")
	assert woken == ["crm"]
	assert ordering.due(hub) == {"crm": 1}, "what is behind the failed one does not count"

	drain(hub, "crm")
	retry_now(hub)
	assert sweep(hub) == ["crm"]


def test_what_comes_behind_an_event_being_handled_wakes_a_worker(hub, monkeypatch):
	"""Who handles it may be at the end of its time: it is not said that it takes the next one up."""
	woken: list[str] = []
	put(hub, "a1")
	claims.claim_due(hub, "crm", 10)
	monkeypatch.setattr(hub, "enqueue_drain", lambda integration, number=0: woken.append(integration))
	put(hub, "a2")
	assert woken == ["crm"]


def test_events_behind_more_failed_keys_than_are_listed_keep_their_order(hub, monkeypatch):
	monkeypatch.setattr(ordering, "_MOST_KEYS", 2)
	put(hub, *(f"{letter}{number}" for number in (1, 2) for letter in "abcde"))
	FAILING.update(f"{letter}1" for letter in "abcd")
	drain(hub, "crm")
	assert HANDLED == ["e1", "e2"]
	put(hub, "a3", "f1")
	drain(hub, "crm")
	assert HANDLED == ["e1", "e2", "f1"]
	FAILING.clear()
	retry_now(hub)
	drain(hub, "crm")
	for letter in "abcd":
		assert [name for name in HANDLED if name[0] == letter][:2] == [f"{letter}1", f"{letter}2"]
	assert HANDLED.index("a3") > HANDLED.index("a2")
	assert set(states(hub).values()) == {"Completed"}


def test_an_event_before_a_failed_one_of_its_key_is_handled_first(hub):
	put(hub, "a1", "a2", "a3")
	FAILING.add("a2")
	drain(hub, "crm")
	assert HANDLED == ["a1"] and states(hub)["a2"] == "Failed"
	[first] = [
		row["name"] for row in hub.db.query("SELECT `name` FROM `tabWebhook Log` WHERE `event_id` = 'a1'")
	]
	inbox.requeue(hub, [first])
	FAILING.clear()
	retry_now(hub)
	drain(hub, "crm")
	assert HANDLED == ["a1", "a1", "a2", "a3"]


def test_two_claimants_never_hold_the_same_key(hub):
	put(hub, "a1", "b1", "a2", "b2", "c1")
	first = claims.claim_due(hub, "crm", 2)
	assert [row["event_id"] for row in first] == ["a1", "b1"]
	assert [row["event_id"] for row in claims.claim_due(hub, "crm", 10)] == ["c1"]
	assert claims.claim_due(hub, "crm", 10) == []
	claims.give_back(hub, first)
	assert [row["event_id"] for row in claims.claim_due(hub, "crm", 10)] == ["a1", "b1", "a2", "b2"]


def test_a_replayed_event_waits_for_the_one_being_handled(hub):
	put(hub, "a1", "a2")
	drain(hub, "crm")
	names = inbox.select(hub, integration="crm")
	inbox.requeue(hub, names[1:])
	[second] = claims.claim_due(hub, "crm", 10)
	inbox.requeue(hub, names[:1])
	assert claims.claim_due(hub, "crm", 10) == []
	claims.give_back(hub, [second])
	drain(hub, "crm")
	assert HANDLED == ["a1", "a2", "a1", "a2"]


def test_paid_before_created_comes_back_after_it(hub):
	put(hub, "a1", "a2")
	DEFERRING.add("a1")
	assert drain(hub, "crm").deferred == 1
	assert HANDLED == ["a2"], "it does not hold back what it waits for"
	[row] = hub.db.query("SELECT * FROM `tabWebhook Log` WHERE `event_id` = 'a1'")
	assert (row["status"], row["attempts"], row["deferrals"]) == ("Queued", 0, 1)
	assert drain(hub, "crm").total == 0, "not yet"
	DEFERRING.clear()
	retry_now(hub)
	drain(hub, "crm")
	assert HANDLED == ["a2", "a1"]


def test_deferring_ends(hub):
	put(hub, "a1")
	DEFERRING.add("a1")
	for _ in range(MAX_DEFERRALS + MAX_ATTEMPTS):
		retry_now(hub)
		drain(hub, "crm")
	assert states(hub) == {"a1": "Dead"}
	assert Defer(-5).seconds == 1 and Defer(10**9).seconds == 3600


def large(hub: StandaloneRuntime, *sizes: int) -> None:
	"""Store events without a key whose bodies have about these sizes."""
	for number, size in enumerate(sizes):
		payload = json.dumps({"id": f"e{number}", "text": "x" * size})
		inbox.store(hub, [inbox.Event("crm", f"e{number}", "x", payload, str(number), "HTTP")])


def test_a_claim_is_no_more_than_can_be_in_memory(hub):
	large(hub, *[1_000_000] * 20)
	claimed = claims.claim_due(hub, "crm", 100)
	assert 1 < len(claimed) < 10
	assert sum(len(row["payload"]) for row in claimed) < 10_000_000
	claims.give_back(hub, claimed)
	assert drain(hub, "crm").completed == 20
	assert [f"e{number}" for number in range(20)] == HANDLED


def test_an_event_that_is_larger_than_a_claim_may_be_is_taken_alone(hub, monkeypatch):
	monkeypatch.setattr(claims, "_MOST_BYTES", 1000)
	large(hub, 10, 5000, 10, 10)
	assert [row["event_id"] for row in claims.claim_due(hub, "crm", 100)] == ["e0"]
	assert [row["event_id"] for row in claims.claim_due(hub, "crm", 100)] == ["e1"]
	assert [row["event_id"] for row in claims.claim_due(hub, "crm", 100)] == ["e2", "e3"]


def test_a_claim_that_is_full_keeps_the_order_of_keys(hub, monkeypatch):
	monkeypatch.setattr(claims, "_MOST_BYTES", 100)  # three of them, about
	put(hub, *(f"{letter}{number}" for number in range(6) for letter in "abc"))
	first = claims.claim_due(hub, "crm", 100)
	claims.give_back(hub, first[1:])  # as a batch does whose time is over
	claims.give_back(hub, first[:1])
	drain(hub, "crm")
	assert [row["event_id"] for row in first] == ["a0", "b0", "c0", "a1", "b1"][: len(first)]
	assert 1 < len(first) < 6
	for letter in "abc":
		assert [name for name in HANDLED if name[0] == letter] == [f"{letter}{n}" for n in range(6)]


def test_a_failure_in_a_batch_undoes_itself_alone(hub):
	put(hub, *(f"{letter}1" for letter in "abcdefg"))
	FAILING.update({"c1", "e1"})
	done = drain(hub, "crm")
	assert (done.completed, done.failed) == (5, 2)
	assert HANDLED == ["a1", "b1", "d1", "f1", "g1"]
	assert [name for name, state in states(hub).items() if state == "Failed"] == ["c1", "e1"]


def test_a_batch_that_cannot_commit_is_handled_one_by_one(hub, monkeypatch):
	put(hub, "a1", "b1", "c1")
	original, broken = claims.settle, []

	def settle(runtime, rows, *args, **values):
		if not broken:
			broken.append(1)
			import sqlite3

			raise sqlite3.OperationalError("database is locked")
		return original(runtime, rows, *args, **values)

	monkeypatch.setattr(claims, "settle", settle)
	assert drain(hub, "crm").completed == 3
	assert HANDLED == ["a1", "b1", "c1", "a1", "b1", "c1"], "the first three were undone"


def test_drains_in_parallel_keep_the_order_of_each_key(hub):
	put(hub, *(f"{letter}{number:02}" for number in range(20) for letter in "abcdef"))
	path = hub.file.folder / "hub.toml"
	barrier = threading.Barrier(4)

	def run(_: int) -> None:
		with StandaloneRuntime(path) as runtime:
			barrier.wait()
			for _ in range(50):
				drain(runtime, "crm")
				time.sleep(0.01)

	with ThreadPoolExecutor(4) as pool:
		list(pool.map(run, range(4)))
	assert len(HANDLED) == 120
	for letter in "abcdef":
		assert [name for name in HANDLED if name[0] == letter] == [f"{letter}{n:02}" for n in range(20)]
