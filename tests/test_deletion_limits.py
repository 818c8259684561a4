"""The guards of a sync, each with the failure that it prevents: a source that says page by page what the test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.errors import Gone, RetryLater
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores.database import update
from integration_hub.stores.runs import Counts, Run, Superseded, advance
from integration_hub.stores.runtime import HubError
from integration_hub.stores.seen_marks import Mark
from integration_hub.sync.modes import Period
from integration_hub.sync.run import approve_deletions, run_stream

HUB = """
[connectors]
Scripted = "tests.test_deletion_limits.Scripted"

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
	runtimes: list[StandaloneRuntime] = []

	def open_runtime(
		mode: str, settings: str = "", mapping: str = "", policy: str = "Delete"
	) -> StandaloneRuntime:
		text = HUB.format(mode=mode, settings=settings, mapping=mapping, policy=policy)
		(tmp_path / "hub.toml").write_text(text)
		runtimes.append(StandaloneRuntime(tmp_path / "hub.toml"))
		return runtimes[-1]

	yield open_runtime
	for runtime in runtimes:
		runtime.close()


def run(runtime: StandaloneRuntime, source: Source | list[list[dict]]) -> dict:
	pages = source if callable(source) else lambda request: iter(source)
	Scripted.source = staticmethod(pages)
	return run_stream(runtime, "things")


def titles(runtime: StandaloneRuntime) -> list[str]:
	return [row["title"] for row in runtime.db.query("SELECT `title` FROM `tabThing` ORDER BY `title`")]


def stream(runtime: StandaloneRuntime) -> dict:
	return runtime.db.query("SELECT * FROM `tabSync Settings`")[0]


def test_a_record_that_slipped_to_the_page_before_is_met_by_the_second_look(sync):
	runtime = sync("Incremental")
	passes = [[[thing(1, 1)], [thing(3, 9)]], [[thing(2, 2)], [thing(3, 9)]]]

	def source(request: ListRequest) -> Iterator[list[dict]]:
		assert request.state == "", "each look begins at the beginning"
		return iter(passes.pop(0))

	row = run(runtime, source)
	assert titles(runtime) == ["Thing 1", "Thing 2", "Thing 3"]
	assert (row["fetched"], row["created"], row["unchanged"]) == (2, 3, 0)
	assert stream(runtime)["checkpoint"].startswith("2026-01-01T10:09")


def test_a_record_that_changed_behind_the_walk_is_written_as_it_is_now(sync):
	"""Sorted by id: the watermark of a later record would pass the change for good."""
	runtime = sync("Incremental", "stable_pages = true")
	passes = [[[thing(1, 1)], [thing(2, 9)]], [[thing(1, 5, title="New")], [thing(2, 9)]]]
	run(runtime, lambda request: iter(passes.pop(0)))
	assert titles(runtime) == ["New", "Thing 2"]


def test_one_walk_is_enough_for_a_source_that_lists_by_change_and_pages_by_key(sync):
	runtime = sync("Incremental", "stable_pages = true\nordered = true")
	passes = []
	run(runtime, lambda request: (passes.append(1), iter([[thing(1, 1)], [thing(2, 9)]]))[1])
	assert len(passes) == 1 and titles(runtime) == ["Thing 1", "Thing 2"]


def test_an_empty_source_deletes_nothing_though_an_old_record_was_tried_again(sync):
	runtime = sync("Incremental", mapping='gone = { source_path = "gone", conversion = "Check" }')
	run(runtime, [[thing(n) for n in range(5)] + [thing(9, gone="perhaps")]])
	update(runtime.db, "Sync Settings", "things", {"checkpoint": None})
	row = run(runtime, [[]])
	assert (row["deleted"], len(titles(runtime))) == (0, 5)


@pytest.mark.parametrize(
	("word", "gone"), [("false", 0), ("0", 0), ("No", 0), ("true", 1), ("2026-01-01", 1)]
)
def test_a_deletion_mark_means_what_it_says(sync, word, gone):
	runtime = sync("Incremental", 'deleted_path = "deleted"')
	run(runtime, [[thing(1), thing(2)]])
	row = run(runtime, [[thing(1, 1, deleted=word), thing(2, 1)]])
	assert row["deleted"] == gone


def test_many_tombstones_wait_for_approval_too(sync):
	runtime = sync("Incremental", 'deleted_path = "deleted"\nmax_delete_count = 10')
	run(runtime, [[thing(n) for n in range(50)]])
	gone = [thing(n, 1, deleted=True) for n in range(40)]
	held = run(runtime, [gone])
	assert (held["status"], held["deleted"], held["to_delete"]) == ("Needs Approval", 0, 40)
	again = run(runtime, [gone[:5]])
	assert (again["deleted"], again["to_delete"]) == (0, 0), "they wait, however few come again"
	run(runtime, [[thing(0, 2)]])
	assert approve_deletions(runtime, held["name"])["deleted"] == 39
	assert len(titles(runtime)) == 11, "what came back meanwhile is spared"


def test_what_follows_on_held_tombstones_waits_with_them(sync):
	runtime = sync(
		"Incremental", 'deleted_path = "deleted"\nmax_delete_count = 10\nordered = true\nstable_pages = true'
	)
	run(runtime, [[thing(n) for n in range(50)]])
	gone = [thing(n, 1, deleted=True) for n in range(45)]
	held = run(runtime, [gone[:40], gone[40:]])
	assert (held["deleted"], held["to_delete"]) == (0, 45)


def test_a_record_that_fails_in_both_looks_counts_once(sync):
	runtime = sync("Incremental", mapping='state = "state"')
	row = run(runtime, [[thing(1, 1, state="Nowhere")], [thing(2, 2)]])
	assert (row["fetched"], row["created"], row["failed"]) == (2, 1, 1)


def test_a_stream_keeps_its_target_while_documents_are_bound(sync, tmp_path):
	runtime = sync("Full")
	run(runtime, [[thing(1)]])
	text = (tmp_path / "hub.toml").read_text()
	(tmp_path / "hub.toml").write_text(
		text.replace('target_doctype = "Thing"', 'target_doctype = "Other"')
		+ '\n[table.Other]\ntitle = "Data"\n'
	)
	with pytest.raises(HubError, match=r"target_doctype – 1 documents are bound already"):
		StandaloneRuntime(tmp_path / "hub.toml")


def test_a_record_without_an_id_is_remembered_over_a_pause(sync):
	runtime = sync("Full", "stable_pages = true")
	run(runtime, [[thing(n) for n in range(5)], [thing(9)]])

	def puts_off(request: ListRequest) -> Iterator[list[dict]]:
		if not request.state:
			yield [{"title": "who?"}]
			raise RetryLater(60)
		yield [thing(9)]

	assert run(runtime, puts_off)["status"] == "Postponed"
	row = run(runtime, puts_off)
	assert (row["deleted"], len(titles(runtime))) == (0, 6)


def test_a_feed_that_begins_again_forgets_what_an_earlier_walk_has_met(sync):
	runtime = sync("Cursor", "cursor_lists_all = true")

	def breaks_off(request: ListRequest) -> Iterator[list[dict]]:
		yield [thing(1), thing(2)]
		raise ConnectionError("gone")

	assert run(runtime, breaks_off)["status"] == "Failed"

	def expired(request: ListRequest) -> Iterator[list[dict]]:
		if request.state:
			raise Gone(status=410)
		yield [thing(2)]

	assert run(runtime, expired)["deleted"] == 1
	assert titles(runtime) == ["Thing 2"]


def test_a_list_behind_a_quota_comes_to_its_end_run_by_run(sync):
	runtime = sync("Incremental")
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

	ends = [run(runtime, one_page_a_run)["status"] for _ in range(6)]
	assert "Completed" in ends and ends.index("Completed") <= 5
	assert titles(runtime) == ["Thing 1", "Thing 2", "Thing 3"]
	assert stream(runtime)["checkpoint"].startswith("2026-01-01T10:03")


def test_a_backfill_leaves_the_errors_and_the_turn_of_the_stream_alone(sync):
	runtime = sync("Incremental", mapping='gone = { source_path = "gone", conversion = "Check" }')
	run(runtime, [[thing(1), thing(2, gone="perhaps")]])
	before = stream(runtime)
	Scripted.source = staticmethod(lambda request: iter([[thing(1)]]))
	assert run_stream(runtime, "things", period=Period.read("2026-01-01"))["status"] == "Completed"
	after = stream(runtime)
	assert {k for k in before if before[k] != after[k]} <= {"last_run_at", "run_number"}
	assert runtime.db.query("SELECT `status` FROM `tabIntegration Error Log`") == [{"status": "Open"}]


def test_an_approval_is_no_turn_of_the_stream(sync):
	runtime = sync("Full", "stable_pages = true\nmax_delete_count = 1")
	run(runtime, [[thing(n) for n in range(10)]])
	held = run(runtime, [[thing(0)]])
	update(runtime.db, "Sync Settings", "things", {"wanted": 1})
	before = stream(runtime)
	approve_deletions(runtime, held["name"])
	after = stream(runtime)
	assert (after["status"], after["wanted"], after["next_run_at"]) == ("OK", 1, before["next_run_at"])


def test_a_run_that_was_taken_over_leaves_the_stream_to_the_other(sync):
	runtime = sync("Full")

	def taken_over(request: ListRequest) -> Iterator[list[dict]]:
		yield [thing(1)]
		runtime.db.execute("UPDATE `tabSync Log` SET `status` = 'Interrupted'")
		update(
			runtime.db, "Sync Settings", "things", {"status": "Running", "resume": json.dumps({"mine": 1})}
		)
		yield [thing(2)]

	run(runtime, taken_over)
	assert titles(runtime) == ["Thing 1"]
	assert (stream(runtime)["status"], stream(runtime)["resume"]) == ("Running", '{"mine": 1}')


@pytest.mark.parametrize("value", [5, "5", "nobody", ["a"], True])
def test_a_link_that_is_no_name_is_one_records_failure(sync, value):
	runtime = sync("Full", mapping='of = "of"')
	row = run(runtime, [[thing(1, of=value), thing(2)]])
	assert (row["created"], row["failed"]) == (1, 1), row["error"]


def test_a_disabled_document_is_enabled_again(sync):
	settings = 'disable_field = "state"\ndisable_value = "Gone"\nstable_pages = true\nmax_delete_count = 9'
	with pytest.raises(HubError, match="enable_value"):
		sync("Full", settings, policy="Disable")
	runtime = sync("Full", f'{settings}\nenable_value = "Here"', policy="Disable")
	run(runtime, [[thing(1), thing(2)]])
	run(runtime, [[thing(1)]])
	assert runtime.db.query("SELECT `state` FROM `tabThing` ORDER BY `title`")[1]["state"] == "Gone"
	run(runtime, [[thing(1), thing(2)]])
	assert runtime.db.query("SELECT `state` FROM `tabThing` ORDER BY `title`")[1]["state"] == "Here"


def test_the_counts_of_a_closed_run_cannot_grow(sync):
	runtime = sync("Full")
	row = run(runtime, [[thing(1)]])
	with pytest.raises(Superseded), runtime.db.transaction():
		advance(
			runtime, Run(row["name"], Mark(row["name"], 1), "things", "source", "Full"), Counts(fetched=1)
		)


def test_what_waits_for_approval_stays_in_sight(sync):
	runtime = sync("Incremental", 'deleted_path = "deleted"\nmax_delete_count = 1')
	run(runtime, [[thing(n) for n in range(10)]])
	held = run(runtime, [[thing(n, 1, deleted=True) for n in range(5)]])
	assert held["status"] == "Needs Approval"
	assert run(runtime, [[thing(9, 2, title="New")]])["status"] == "Completed"
	assert stream(runtime)["status"] == "Needs Approval", "a run that went well does not hide it"
	run(runtime, [[thing(n, 3) for n in range(5)]])
	assert stream(runtime)["status"] == "OK", "they are all in the source again"
	with pytest.raises(HubError, match="no deletions waiting"):
		approve_deletions(runtime, held["name"])


@pytest.mark.slow
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
	runtime = sync("Full", f"stable_pages = true\n{settings}")
	run(runtime, [[thing(n) for n in range(live)]])
	row = run(runtime, [[thing(n) for n in range(gone, live)]])
	assert (row["status"], row["to_delete"] or 0) == (("Needs Approval", gone) if held else ("Completed", 0))
	assert row["deleted"] == (0 if held else gone)


def test_a_typo_in_the_sources_own_marks_is_said_on_the_first_run(sync):
	runtime = sync("Incremental", 'deleted_path = "delete"')
	records = [{"id": n, "title": f"Thing {n}", "updated": "2026-01-01T10:00:00Z"} for n in range(3)]
	row = run(runtime, [records])
	assert row["status"] == "Completed"
	assert "nothing was found at 'at' (updated_at_path) and 'delete' (deleted_path)" in row["error"]
	again = run(runtime, [records])["error"]
	assert "updated_at_path" in again and "deleted_path" not in again, "there may be no deleted record yet"


def test_marks_that_are_there_are_not_spoken_of(sync):
	runtime = sync("Incremental", 'deleted_path = "deleted"')
	assert run(runtime, [[thing(1, deleted=False), thing(2)]])["error"] is None
	assert run(runtime, [[thing(3)]])["error"] is None
