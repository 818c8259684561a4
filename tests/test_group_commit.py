"""Many threads at the receiver's endpoint at once: what each is told is what became of its event."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from integration_hub.runtime.standalone.runtime import StandaloneRuntime
from integration_hub.stores import inbox
from integration_hub.webhooks.group_commit import GroupCommit

EVENT = inbox.Event("crm", "1", "x", "{}", "hash", "HTTP")
THREADS = 16


def path_of(runtime):
	return runtime.file.folder / "hub.toml"


def post(path, store, events):
	"""Store each event in a thread of its own, all at once; return what each was told."""
	start = threading.Barrier(len(events))

	def one(event):
		start.wait()
		with StandaloneRuntime(path) as runtime:
			try:
				return store(runtime, [event])[0]
			except ValueError:
				return "refused"

	with ThreadPoolExecutor(len(events)) as pool:
		return list(pool.map(one, events))


def stored(runtime):
	return Counter(row["event_id"] for row in runtime.db.query("SELECT `event_id` FROM `tabWebhook Log`"))


def test_each_event_of_a_group_gets_its_own_verdict(runtime):
	store = GroupCommit()
	for number in range(10):
		events = [replace(EVENT, event_id=f"{number}-{n // 2}") for n in range(THREADS)]
		events[0] = replace(events[0], body_hash="another")
		verdicts = post(path_of(runtime), store, events)
		assert Counter(verdicts) == {"received": THREADS // 2, "duplicate": THREADS // 2 - 1, "conflict": 1}
		assert verdicts[0] != verdicts[1] and "conflict" in verdicts[:2]
	assert set(stored(runtime).values()) == {1, 2}  # two rows where one is a conflict


def test_transactions_are_shared(runtime, monkeypatch):
	groups, begun = [], threading.Event()
	alone = inbox.store

	def slow(runtime, events):
		groups.append(len(events))
		if len(groups) == 1:
			begun.wait(5)
		return alone(runtime, events)

	monkeypatch.setattr(inbox, "store", slow)
	store = GroupCommit()
	first = threading.Thread(target=lambda: post(path_of(runtime), store, [EVENT]))
	first.start()
	while not groups:
		pass
	rest = threading.Thread(
		target=lambda: post(path_of(runtime), store, [replace(EVENT, event_id=str(n)) for n in range(2, 10)])
	)
	rest.start()
	while len(store._waiting) < 8:
		pass
	begun.set()
	first.join()
	rest.join()
	assert groups == [1, 8]
	assert len(stored(runtime)) == 9


def test_what_one_event_breaks_the_others_do_not_suffer(runtime, monkeypatch):
	alone = inbox.store

	def choosy(runtime, events):
		if any(event.event_id == "bad" for event in events):
			raise ValueError("this one cannot be stored")
		return alone(runtime, events)

	monkeypatch.setattr(inbox, "store", choosy)
	events = [replace(EVENT, event_id="bad" if n == 3 else str(n)) for n in range(THREADS)]
	verdicts = post(path_of(runtime), GroupCommit(), events)
	assert verdicts == ["refused" if n == 3 else "received" for n in range(THREADS)]
	assert len(stored(runtime)) == THREADS - 1


def test_a_group_is_not_larger_than_a_statement_may_be(runtime, monkeypatch):
	sizes = []
	alone = inbox.store

	def noted(runtime, events):
		sizes.append(sum(len(event.payload) for event in events))
		return alone(runtime, events)

	monkeypatch.setattr(inbox, "store", noted)
	events = [replace(EVENT, event_id=str(n), payload="x" * 600_000) for n in range(THREADS)]
	assert post(path_of(runtime), GroupCommit(), events) == ["received"] * THREADS
	assert max(sizes) <= 1_600_000
