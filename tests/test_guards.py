"""The guards of a sync, each with the failure that it prevents: a source that says page by page what the test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.errors import Gone, RetryLater
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.homes.file import FileHome
from integration_hub.stores.database import update
from integration_hub.stores.home import HubError
from integration_hub.stores.marks import Mark
from integration_hub.stores.runs import Counts, Run, Superseded, advance
from integration_hub.sync.modes import Period
from integration_hub.sync.run import approve_deletions, run_stream

HUB = """
[connectors]
Scripted = "tests.test_guards.Scripted"

[integration.source]
connector = "Scripted"
base_url = "https://example.com"

[stream.things]
integration = "source"
mode = "{mode}"
endpoint = "/things"
updated_at_path = "at"
pagination = "Cursor"
target_doctype = "Thing"
deletion_policy = "{policy}"
overlap_seconds = 0
{settings}

[stream.things.mapping]
title = "title"
{mapping}

[table.Thing]
title = "Data"
of = {{ fieldtype = "Link", options = "Thing" }}
state = {{ fieldtype = "Select", options = "Here\\nGone" }}
gone = "Check"
"""
Source = Callable[[ListRequest], Iterator[list[dict]]]


class Scripted(BaseConnector):
	"""Lists what `source` yields, a page each; a page's state is its number; an empty one is the last."""

	source: Source

	def pages(self, request: ListRequest) -> Iterator[Page]:
		number = 0
		for number, records in enumerate(type(self).source(request), 1):
			yield Page(records, str(number), False, 10)
		yield Page([], str(number), True, 0)


def thing(id: int, minute: int = 0, **values) -> dict:
	return {"id": id, "title": f"Thing {id}", "at": f"2026-01-01T10:{minute:02d}:00Z", **values}


@pytest.fixture
def sync(tmp_path: Path):
	"""Return a function that runs the stream against a source, and one that gives the titles that are there."""
	homes: list[FileHome] = []

	def open_home(mode: str, settings: str = "", mapping: str = "", policy: str = "Delete") -> FileHome:
		text = HUB.format(mode=mode, settings=settings, mapping=mapping, policy=policy)
		(tmp_path / "hub.toml").write_text(text)
		homes.append(FileHome(tmp_path / "hub.toml"))
		return homes[-1]

	yield open_home
	for home in homes:
		home.close()


def run(home: FileHome, source: Source | list[list[dict]]) -> dict:
	pages = source if callable(source) else lambda request: iter(source)
	Scripted.source = staticmethod(pages)
	return run_stream(home, "things")


def titles(home: FileHome) -> list[str]:
	return [row["title"] for row in home.db.query("SELECT `title` FROM `tabThing` ORDER BY `title`")]


def stream(home: FileHome) -> dict:
	return home.db.query("SELECT * FROM `tabSync Settings`")[0]


def test_a_record_that_slipped_to_the_page_before_is_met_by_the_second_look(sync):
	home = sync("Incremental")
	walks = [[[thing(1, 1)], [thing(3, 9)]], [[thing(2, 2)], [thing(3, 9)]]]

	def source(request: ListRequest) -> Iterator[list[dict]]:
		assert request.state == "", "each look begins at the beginning"
		return iter(walks.pop(0))

	row = run(home, source)
	assert titles(home) == ["Thing 1", "Thing 2", "Thing 3"]
	assert (row["fetched"], row["created"], row["unchanged"]) == (2, 3, 0)
	assert stream(home)["checkpoint"].startswith("2026-01-01T10:09")


def test_a_record_that_changed_behind_the_walk_is_written_as_it_is_now(sync):
	"""Sorted by id: the watermark of a later record would pass the change for good."""
	home = sync("Incremental", "stable_pages = true")
	walks = [[[thing(1, 1)], [thing(2, 9)]], [[thing(1, 5, title="New")], [thing(2, 9)]]]
	run(home, lambda request: iter(walks.pop(0)))
	assert titles(home) == ["New", "Thing 2"]


def test_one_walk_is_enough_for_a_source_that_lists_by_change_and_pages_by_key(sync):
	home = sync("Incremental", "stable_pages = true\nordered = true")
	walks = []
	run(home, lambda request: (walks.append(1), iter([[thing(1, 1)], [thing(2, 9)]]))[1])
	assert len(walks) == 1 and titles(home) == ["Thing 1", "Thing 2"]


def test_an_empty_source_deletes_nothing_though_an_old_record_was_tried_again(sync):
	home = sync("Incremental", mapping='gone = { source_path = "gone", conversion = "Check" }')
	run(home, [[thing(n) for n in range(5)] + [thing(9, gone="perhaps")]])
	update(home.db, "Sync Settings", "things", {"checkpoint": None})
	row = run(home, [[]])
	assert (row["deleted"], len(titles(home))) == (0, 5)


@pytest.mark.parametrize(
	("word", "gone"), [("false", 0), ("0", 0), ("No", 0), ("true", 1), ("2026-01-01", 1)]
)
def test_a_deletion_mark_means_what_it_says(sync, word, gone):
	home = sync("Incremental", 'deleted_path = "deleted"')
	run(home, [[thing(1), thing(2)]])
	row = run(home, [[thing(1, 1, deleted=word), thing(2, 1)]])
	assert row["deleted"] == gone


def test_many_tombstones_wait_for_approval_too(sync):
	home = sync("Incremental", 'deleted_path = "deleted"\nmax_delete_count = 10')
	run(home, [[thing(n) for n in range(50)]])
	gone = [thing(n, 1, deleted=True) for n in range(40)]
	held = run(home, [gone])
	assert (held["status"], held["deleted"], held["to_delete"]) == ("Needs Approval", 0, 40)
	again = run(home, [gone[:5]])
	assert (again["deleted"], again["to_delete"]) == (0, 0), "they wait, however few come again"
	run(home, [[thing(0, 2)]])
	assert approve_deletions(home, held["name"])["deleted"] == 39
	assert len(titles(home)) == 11, "what came back meanwhile is spared"


def test_what_follows_on_held_tombstones_waits_with_them(sync):
	home = sync(
		"Incremental", 'deleted_path = "deleted"\nmax_delete_count = 10\nordered = true\nstable_pages = true'
	)
	run(home, [[thing(n) for n in range(50)]])
	gone = [thing(n, 1, deleted=True) for n in range(45)]
	held = run(home, [gone[:40], gone[40:]])
	assert (held["deleted"], held["to_delete"]) == (0, 45)


def test_a_record_that_fails_in_both_looks_counts_once(sync):
	home = sync("Incremental", mapping='state = "state"')
	row = run(home, [[thing(1, 1, state="Nowhere")], [thing(2, 2)]])
	assert (row["fetched"], row["created"], row["failed"]) == (2, 1, 1)


def test_a_stream_keeps_its_target_while_documents_are_bound(sync, tmp_path):
	home = sync("Full")
	run(home, [[thing(1)]])
	text = (tmp_path / "hub.toml").read_text()
	(tmp_path / "hub.toml").write_text(
		text.replace('target_doctype = "Thing"', 'target_doctype = "Other"')
		+ '\n[table.Other]\ntitle = "Data"\n'
	)
	with pytest.raises(HubError, match=r"target_doctype – 1 documents are bound already"):
		FileHome(tmp_path / "hub.toml")


def test_a_record_without_an_id_is_remembered_over_a_pause(sync):
	home = sync("Full", "stable_pages = true")
	run(home, [[thing(n) for n in range(5)], [thing(9)]])

	def puts_off(request: ListRequest) -> Iterator[list[dict]]:
		if not request.state:
			yield [{"title": "who?"}]
			raise RetryLater(60)
		yield [thing(9)]

	assert run(home, puts_off)["status"] == "Postponed"
	row = run(home, puts_off)
	assert (row["deleted"], len(titles(home))) == (0, 6)


def test_a_feed_that_begins_again_forgets_what_an_earlier_walk_has_met(sync):
	home = sync("Cursor", "cursor_lists_all = true")

	def breaks_off(request: ListRequest) -> Iterator[list[dict]]:
		yield [thing(1), thing(2)]
		raise ConnectionError("gone")

	assert run(home, breaks_off)["status"] == "Failed"

	def expired(request: ListRequest) -> Iterator[list[dict]]:
		if request.state:
			raise Gone(status=410)
		yield [thing(2)]

	assert run(home, expired)["deleted"] == 1
	assert titles(home) == ["Thing 2"]


def test_a_list_behind_a_quota_comes_to_its_end_run_by_run(sync):
	home = sync("Incremental")
	asked = []

	def one_page_a_run(request: ListRequest) -> Iterator[list[dict]]:
		asked.append(request.state)
		number = int(request.state or 0)
		for n in range(1, 4):
			if n <= number:
				yield []
				continue
			yield [thing(n, n)]
			if n < 3:
				raise RetryLater(60)

	ends = [run(home, one_page_a_run)["status"] for _ in range(6)]
	assert "Completed" in ends and ends.index("Completed") <= 5
	assert titles(home) == ["Thing 1", "Thing 2", "Thing 3"]
	assert stream(home)["checkpoint"].startswith("2026-01-01T10:03")


def test_a_backfill_leaves_the_errors_and_the_turn_of_the_stream_alone(sync):
	home = sync("Incremental", mapping='gone = { source_path = "gone", conversion = "Check" }')
	run(home, [[thing(1), thing(2, gone="perhaps")]])
	before = stream(home)
	Scripted.source = staticmethod(lambda request: iter([[thing(1)]]))
	assert run_stream(home, "things", period=Period.read("2026-01-01"))["status"] == "Completed"
	after = stream(home)
	assert {k for k in before if before[k] != after[k]} <= {"last_run_at", "run_number"}
	assert home.db.query("SELECT `status` FROM `tabIntegration Error Log`") == [{"status": "Open"}]


def test_an_approval_is_no_turn_of_the_stream(sync):
	home = sync("Full", "stable_pages = true\nmax_delete_count = 1")
	run(home, [[thing(n) for n in range(10)]])
	held = run(home, [[thing(0)]])
	update(home.db, "Sync Settings", "things", {"wanted": 1})
	before = stream(home)
	approve_deletions(home, held["name"])
	after = stream(home)
	assert (after["status"], after["wanted"], after["next_run_at"]) == ("OK", 1, before["next_run_at"])


def test_a_run_that_was_taken_over_leaves_the_stream_to_the_other(sync):
	home = sync("Full")

	def taken_over(request: ListRequest) -> Iterator[list[dict]]:
		yield [thing(1)]
		home.db.execute("UPDATE `tabSync Log` SET `status` = 'Interrupted'")
		update(home.db, "Sync Settings", "things", {"status": "Running", "resume": json.dumps({"mine": 1})})
		yield [thing(2)]

	run(home, taken_over)
	assert titles(home) == ["Thing 1"]
	assert (stream(home)["status"], stream(home)["resume"]) == ("Running", '{"mine": 1}')


@pytest.mark.parametrize("value", [5, "5", "nobody", ["a"], True])
def test_a_link_that_is_no_name_is_one_records_failure(sync, value):
	home = sync("Full", mapping='of = "of"')
	row = run(home, [[thing(1, of=value), thing(2)]])
	assert (row["created"], row["failed"]) == (1, 1), row["error"]


def test_a_disabled_document_is_enabled_again(sync):
	settings = 'disable_field = "state"\ndisable_value = "Gone"\nstable_pages = true\nmax_delete_count = 9'
	with pytest.raises(HubError, match="enable_value"):
		sync("Full", settings, policy="Disable")
	home = sync("Full", f'{settings}\nenable_value = "Here"', policy="Disable")
	run(home, [[thing(1), thing(2)]])
	run(home, [[thing(1)]])
	assert home.db.query("SELECT `state` FROM `tabThing` ORDER BY `title`")[1]["state"] == "Gone"
	run(home, [[thing(1), thing(2)]])
	assert home.db.query("SELECT `state` FROM `tabThing` ORDER BY `title`")[1]["state"] == "Here"


def test_the_counts_of_a_closed_run_cannot_grow(sync):
	home = sync("Full")
	row = run(home, [[thing(1)]])
	with pytest.raises(Superseded), home.db.transaction():
		advance(home, Run(row["name"], Mark(row["name"], 1), "things", "source", "Full"), Counts(fetched=1))


def test_what_waits_for_approval_stays_in_sight(sync):
	home = sync("Incremental", 'deleted_path = "deleted"\nmax_delete_count = 1')
	run(home, [[thing(n) for n in range(10)]])
	held = run(home, [[thing(n, 1, deleted=True) for n in range(5)]])
	assert held["status"] == "Needs Approval"
	assert run(home, [[thing(9, 2, title="New")]])["status"] == "Completed"
	assert stream(home)["status"] == "Needs Approval", "a run that went well does not hide it"
	run(home, [[thing(n, 3) for n in range(5)]])
	assert stream(home)["status"] == "OK", "they are all in the source again"
	with pytest.raises(HubError, match="no deletions waiting"):
		approve_deletions(home, held["name"])


@pytest.mark.parametrize(
	("live", "gone", "settings", "held"),
	[
		(50, 5, "", False),
		(50, 6, "", True),  # more than five, and more than a tenth
		(100, 10, "", False),
		(100, 11, "", True),
		(8, 5, "", False),
		(12_000, 1000, "", False),
		(12_000, 1001, "", True),  # whatever their share
		(12_000, 1001, "max_delete_count = 1001", False),
		(50, 20, "max_delete_count = 20", False),
		(50, 20, "max_delete_percent = 40", False),
		(50, 6, "max_delete_percent = 0", True),
	],
)
def test_a_deletion_is_held_that_is_large_for_its_table_or_for_any(sync, live, gone, settings, held):
	home = sync("Full", f"stable_pages = true\n{settings}")
	run(home, [[thing(n) for n in range(live)]])
	row = run(home, [[thing(n) for n in range(gone, live)]])
	assert (row["status"], row["to_delete"] or 0) == (("Needs Approval", gone) if held else ("Completed", 0))
	assert row["deleted"] == (0 if held else gone)


def test_a_typo_in_the_sources_own_marks_is_said_on_the_first_run(sync):
	home = sync("Incremental", 'deleted_path = "delete"')
	records = [{"id": n, "title": f"Thing {n}", "updated": "2026-01-01T10:00:00Z"} for n in range(3)]
	row = run(home, [records])
	assert row["status"] == "Completed"
	assert "nothing was found at 'at' (updated_at_path) and 'delete' (deleted_path)" in row["error"]
	again = run(home, [records])["error"]
	assert "updated_at_path" in again and "deleted_path" not in again, "there may be no deleted record yet"


def test_marks_that_are_there_are_not_spoken_of(sync):
	home = sync("Incremental", 'deleted_path = "deleted"')
	assert run(home, [[thing(1, deleted=False), thing(2)]])["error"] is None
	assert run(home, [[thing(3)]])["error"] is None
