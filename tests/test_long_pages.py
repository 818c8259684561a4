"""A page that takes long is committed in parts: each whole, the checkpoint with the last."""

from __future__ import annotations

from itertools import count

import pytest

from integration_hub.sandbox import Sandbox
from integration_hub.stores.database import Outdated
from integration_hub.sync import deletion, page_writer
from integration_hub.sync.bulk import BulkTarget
from integration_hub.sync.run import approve_deletions, load_stream, run_stream
from tests.compare import source, table

KINDS = ("full", "incremental", "cursor")
_COUNTS = ("fetched", "created", "updated", "unchanged", "deleted", "failed", "pages")


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch):
	"""It is late at once: each transaction takes on no more than its first few documents."""
	monkeypatch.setattr(page_writer, "LONG_ENOUGH", 0)
	monkeypatch.setattr(deletion, "LONG_ENOUGH", 0)
	monkeypatch.setattr(BulkTarget, "at_once", 7)


def run_counts(row: dict) -> dict:
	return {name: row[name] for name in _COUNTS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_in_parts_does_and_counts_the_same(make_runtime, crm: Sandbox, kind: str, request):
	"""Run each step once in time, on one file, and once late, on another; both say the same."""
	steps = ({}, {"create": 20, "update": 60, "delete": 9}, {})
	said = []
	for number in range(2):
		with Sandbox(customers=250) as own:
			runtime = make_runtime(
				('database = "hub.db"', f'database = "hub{number}.db"'), (crm.url, own.url)
			)
			if number:
				request.getfixturevalue("late")
			rows = []
			for change in steps:
				own.change(**change)
				rows.append(run_stream(runtime, f"customers-{kind}"))
				assert rows[-1]["status"] == "Completed", rows[-1]["error"]
				assert table(runtime, kind) == source(own)
			said.append([run_counts(row) for row in rows])
	assert said[0] == said[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_killed_within_a_page_doubles_nothing(runtime, crm: Sandbox, kind: str, late, monkeypatch):
	write, calls = BulkTarget.write, count(1)

	def killed(target, changes):
		if next(calls) == 5:
			raise KeyboardInterrupt
		return write(target, changes)

	monkeypatch.setattr(BulkTarget, "write", killed)
	with pytest.raises(KeyboardInterrupt):
		run_stream(runtime, f"customers-{kind}")
	there = runtime.db.query("SELECT COUNT(*) AS `n` FROM `tabSandbox Customer`") if kind == "full" else None
	assert not there or there[0]["n"] == 4 * 7, "what was committed in parts stays"
	assert not load_stream(runtime, f"customers-{kind}").checkpoint, "the checkpoint comes with the last part"
	row = run_stream(runtime, f"customers-{kind}")
	assert (row["status"], table(runtime, kind)) == ("Completed", source(crm))
	bound = runtime.db.query(
		"SELECT COUNT(*) AS `n` FROM `tabExternal Record` WHERE `stream` = %s", [row["stream"]]
	)
	assert bound[0]["n"] == 250


def test_removals_too_end_when_it_is_late(runtime, crm: Sandbox, late, monkeypatch):
	run_stream(runtime, "customers-full")
	crm.customers.delete(220)
	held = run_stream(runtime, "customers-full")
	delete, sizes = BulkTarget.delete, []

	def watched(target, names):
		sizes.append(
			(len(names), runtime.db.query("SELECT COUNT(*) AS `n` FROM `tabSandbox Customer`")[0]["n"])
		)
		return delete(target, names)

	monkeypatch.setattr(BulkTarget, "delete", watched)
	row = approve_deletions(runtime, held["name"])
	assert (row["status"], row["deleted"]) == ("Completed", 220)
	assert max(size for size, _ in sizes) <= 7
	assert table(runtime, "full") == source(crm)


def test_a_binding_that_changes_all_the_time_is_told_by_its_record(runtime, monkeypatch):
	from integration_hub.stores import bindings

	found = bindings.Binding("0123", "CUST-7", new=False, read=("Bound", "x", "1"))

	class Locking:
		dialect = "mariadb"

		def query(self, sql, params):
			return [{"name": "0123", "status": "Bound", "content_hash": "y", "last_seen": "2"}]

	with pytest.raises(Outdated, match="CUST-7"):
		bindings.hold(Locking(), [found])
