"""What `inbox.store` answers is what became of an event, whatever fails on the way."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import replace

import pytest

from integration_hub.stores import inbox
from integration_hub.stores.doctype_tables import FORMER_INDEXES, INDEXES, index

EVENT = inbox.Event("crm", "1", "x", "{}", "hash", "HTTP")


def events(runtime) -> dict[str, tuple[str, int]]:
	rows = runtime.db.query("SELECT `event_id`, `status`, `deliveries` FROM `tabWebhook Log` ORDER BY `name`")
	return {row["event_id"]: (row["status"], row["deliveries"]) for row in rows}


def test_where_the_look_at_repeats_fails_new_events_are_not_called_duplicates(runtime, monkeypatch):
	inbox.store(runtime, [EVENT])
	count = inbox._count_deliveries

	def fail(*_) -> None:
		raise ValueError("the disk is full")

	monkeypatch.setattr(inbox, "_count_deliveries", fail)
	both = [replace(EVENT, event_id="2"), EVENT]
	with pytest.raises(ValueError, match="the disk is full"):
		inbox.store(runtime, both)
	assert events(runtime) == {"1": ("Queued", 1)}

	monkeypatch.setattr(inbox, "_count_deliveries", count)
	assert inbox.store(runtime, both) == ["received", "duplicate"]
	assert events(runtime) == {"1": ("Queued", 2), "2": ("Queued", 1)}


def test_an_event_whose_commit_was_only_believed_to_have_failed_is_received(runtime, monkeypatch):
	"""The connection broke after the commit and before its answer: the transaction is repeated, and finds its row."""
	begun, transaction = [], runtime.db.transaction

	@contextmanager
	def forgetful():
		with transaction():
			yield
		begun.append(1)
		if len(begun) == 1:
			raise sqlite3.OperationalError("database is locked")

	monkeypatch.setattr(runtime.db, "transaction", forgetful)
	assert inbox.store(runtime, [EVENT, replace(EVENT, body_hash="another")]) == ["received", "conflict"]
	rows = runtime.db.query("SELECT `status` FROM `tabWebhook Log` ORDER BY `status`")
	assert [row["status"] for row in rows] == ["Conflict", "Queued"]


def test_a_runtime_that_is_older_gets_the_indexes_of_a_new_one(runtime):
	def indexes() -> set[str]:
		return {row["name"] for row in runtime.db.query("PRAGMA index_list(`tabWebhook Log`)")}

	new = indexes()
	for fields in FORMER_INDEXES["Webhook Log"]:
		runtime.db.execute(index("tabWebhook Log", fields))
	runtime.db.execute(f"DROP INDEX `tabWebhook Log_{'_'.join(INDEXES['Webhook Log'][1])}`")
	assert indexes() != new
	runtime.db.create_tables()
	assert indexes() == new
