"""What waits in the inbox, whatever it waits for: nobody looks twice at what cannot be taken, and nothing is forgotten."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks import inbox_worst
from integration_hub.stores import claims, inbox, ordering
from integration_hub.stores.database import insert
from integration_hub.stores.ids import new_ids
from integration_hub.webhooks import drain as drains
from integration_hub.webhooks.drain import drain, sweep
from tests.test_ordering import DEFERRING, FAILING, HANDLED, hub, put, retry_now, states  # noqa: F401


def turns(runtime) -> dict[str, tuple[int, int]]:
	rows = runtime.db.query("SELECT * FROM `tabWebhook Log`")
	return {row["event_id"]: (row["turn"], row["followed"]) for row in rows}


def test_what_is_behind_a_failed_event_is_looked_at_once(hub):  # noqa: F811
	put(hub, "a1", *(f"a{n}" for n in range(2, 30)))
	FAILING.add("a1")
	drain(hub, "crm")
	sweep(hub)
	found = turns(hub)
	assert found["a1"] == (ordering.AT_TIME, 1)
	assert {found[f"a{n}"] for n in range(2, 30)} == {(ordering.BEHIND, 0)}
	assert ordering.look(hub, "crm", 500, 500).count == 0


def test_those_behind_are_let_on_in_pieces_in_their_order(hub, monkeypatch):  # noqa: F811
	monkeypatch.setattr(ordering, "_LET_ON", 3)
	names = [f"a{n:02}" for n in range(20)]
	put(hub, *names)
	FAILING.add("a00")
	drain(hub, "crm")
	sweep(hub)
	FAILING.clear()
	retry_now(hub)
	drain(hub, "crm")
	assert names == HANDLED


@pytest.mark.parametrize("end", ["Dead", "Unrouted", "deleted", "replayed", "deferred", "by hand"])
def test_however_the_one_in_front_ends_those_behind_go_on(hub, end):  # noqa: F811
	put(hub, "a1", "a2", "a3")
	FAILING.add("a1")
	drain(hub, "crm")
	sweep(hub)
	assert turns(hub)["a2"][0] == ordering.BEHIND
	retry_now(hub)
	if end == "Dead":
		hub.db.execute("UPDATE `tabWebhook Log` SET `attempts` = 7 WHERE `event_id` = 'a1'")
	elif end == "Unrouted":
		hub.db.execute("DELETE FROM `tabWebhook Route`")
	elif end == "deleted":
		hub.db.execute("DELETE FROM `tabWebhook Log` WHERE `event_id` = 'a1'")
	elif end == "by hand":
		hub.db.execute("UPDATE `tabWebhook Log` SET `status` = 'Completed' WHERE `event_id` = 'a1'")
	elif end == "replayed":
		FAILING.clear()
		inbox.requeue(hub, inbox.select(hub, statuses=["Failed"]))
	elif end == "deferred":
		FAILING.clear()
		DEFERRING.add("a1")
	drain(hub, "crm")
	for _ in range(3):
		sweep(hub)
		drain(hub, "crm")
	left = {name: state for name, state in states(hub).items() if name != "a1"}
	assert set(left.values()) == ({"Unrouted"} if end == "Unrouted" else {"Completed"})
	assert [name for name in HANDLED if name != "a1"] == ([] if end == "Unrouted" else ["a2", "a3"])


def test_a_claimant_that_dies_with_the_last_attempt_lets_on_those_behind(hub):  # noqa: F811
	put(hub, "a1", "a2")
	with claims.slot(hub, "crm") as slot:
		assert len(claims.claim_due(hub, "crm", 1, slot)) == 1
		assert claims.claim_due(hub, "crm", 10) == [], "it is behind the one that is being handled"
	hub.db.execute("UPDATE `tabWebhook Log` SET `attempts` = 99 WHERE `event_id` = 'a1'")
	sweep(hub)
	drain(hub, "crm")
	assert states(hub) == {"a1": "Dead", "a2": "Completed"}


def test_rows_of_an_earlier_version_say_nothing_of_their_turn_and_are_handled_all_the_same(hub):  # noqa: F811
	put(hub, "a1", "a2", "b1", "c1", "c2")
	hub.db.execute(
		"UPDATE `tabWebhook Log` SET `status` = 'Failed', `attempts` = 1, `next_attempt_at` = %s WHERE `event_id` IN ('a1', 'c2')",
		[hub.now(ahead=100)],
	)
	assert ordering.due(hub) == {"crm": 2}
	drain(hub, "crm")
	assert HANDLED == ["b1", "c1"]
	retry_now(hub)
	drain(hub, "crm")
	assert HANDLED == ["b1", "c1", "a1", "a2", "c2"]


ROWS = st.lists(
	st.tuples(
		st.sampled_from(["Queued", "Queued", "Failed", "Processing", "Conflict", "Dead"]),
		st.sampled_from(["a", "b", "c", "", None]),
		st.sampled_from([-3600, -1, 3600, None]),
		st.sampled_from([0, 0, 0, 1]),
		st.sampled_from([0, 0, 1, 2]),
		st.booleans(),
	),
	max_size=25,
)


@settings(max_examples=15)
@example(rows=[("Queued", "", -3600, 0, 1, False), ("Queued", "a", -3600, 0, 0, False)])
@given(rows=ROWS)
def test_from_any_state_all_are_handled_and_none_before_an_earlier_one_of_its_key(hub, rows):  # noqa: F811
	"""Whatever somebody has written into the columns: turn, followed, times."""
	for kept in (HANDLED, FAILING, DEFERRING):
		kept.clear()
	hub.db.execute("DELETE FROM `tabWebhook Log`")
	names = new_ids(len(rows))
	for number, (status, key, ahead, deferrals, turn, followed) in enumerate(rows):
		values = {
			"name": names[number], "event_key": names[number], "integration": "crm", "event_id": names[number],
			"status": status, "ordering_key": key, "deferrals": deferrals, "turn": turn, "followed": int(followed),
			"next_attempt_at": None if ahead is None else hub.now(ahead=ahead), "payload": f'{{"id": "{names[number]}"}}',
			"event_type": "x", "attempts": int(status != "Queued"), "claim": "3:x" if status == "Processing" else None,
			"claimed_at": hub.now() if status == "Processing" else None, "modified": hub.now(),
		}  # fmt: skip
		insert(hub.db, inbox.DOCTYPE, values)
	for _ in range(12):
		sweep(hub)
		drain(hub, "crm")
		hub.db.execute(
			"UPDATE `tabWebhook Log` SET `next_attempt_at` = %s WHERE `next_attempt_at` > %s",
			[hub.now(), hub.now()],
		)
		if not hub.db.query(
			"SELECT 1 FROM `tabWebhook Log` WHERE `status` IN ('Queued', 'Failed', 'Processing') LIMIT 1"
		):
			break
	ends = {row["status"] for row in hub.db.query("SELECT `status` FROM `tabWebhook Log`")}
	assert ends <= {"Completed", "Conflict", "Dead"}
	for key in "abc":
		strict = [
			names[n]
			for n, row in enumerate(rows)
			if row[1] == key and not row[3] and row[0] in ("Queued", "Failed")
		]
		assert [name for name in HANDLED if name in strict] == strict


@pytest.mark.parametrize("mixture", inbox_worst.MIXTURES)
def test_in_each_mixture_the_one_that_can_be_handled_is_found(hub, mixture, monkeypatch):  # noqa: F811
	monkeypatch.setattr(inbox_worst, "COUNT", 3000)
	monkeypatch.setattr(inbox_worst, "NAME", "crm")
	inbox_worst.fill(hub, inbox_worst.MIXTURES[mixture])
	monkeypatch.setattr(drains, "CLAIMED_AT_ONCE", 500)
	taken: list[str] = []
	for _ in range(100):
		sweep(hub)
		rows = claims.claim_due(hub, "crm", 500)
		with hub.db.transaction():
			if rows:
				claims.settle(hub, rows, status="Completed")
				ordering.let_on(hub, rows)
		taken += [row["event_id"] or row["ordering_key"] for row in rows]
		found = hub.db.query("SELECT `status` FROM `tabWebhook Log` WHERE `event_key` = 'crm-last'")
		if found[0]["status"] == "Completed":
			break
	assert found[0]["status"] == "Completed" or "due, a key each" in mixture or "abandoned" in mixture


def test_a_sweep_and_a_claim_end_in_time_and_go_on_the_next_time(hub, monkeypatch):  # noqa: F811
	monkeypatch.setattr(inbox_worst, "COUNT", 20_000)
	monkeypatch.setattr(inbox_worst, "NAME", "crm")
	monkeypatch.setattr(ordering, "LOOK_SECONDS", 0.05)
	monkeypatch.setattr(claims, "LOOK_SECONDS", 0.05)
	inbox_worst.fill(hub, inbox_worst.MIXTURES["half behind the other half, which failed"])
	started, sweeps = time.monotonic(), 0
	while not (rows := claims.claim_due(hub, "crm", 100)):
		assert sweep(hub) == ["crm"], "there is something left to look at"
		sweeps += 1
		assert sweeps < 1000
	assert sweeps > 1 and time.monotonic() - started < 300
	assert [row["ordering_key"] for row in rows] == ["free"]


def test_the_clean_up_and_the_counts_are_not_confused_by_random_names(hub):  # noqa: F811
	put(hub, "a1", "a2")
	hub.db.execute("UPDATE `tabWebhook Log` SET `name` = 'by hand ' || `event_id`, `turn` = 1")
	random.seed(1)
	sweep(hub)
	drain(hub, "crm")
	assert set(states(hub).values()) == {"Completed"}
