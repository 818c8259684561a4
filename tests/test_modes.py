"""Expired cursors, backfills, dry runs, previews, schedules."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.runtime import worker
from integration_hub.stores.database import update
from integration_hub.stores.runtime import HubError
from integration_hub.sync.dry_runs import dry_run, preview
from integration_hub.sync.modes import Period
from integration_hub.sync.run import run_stream
from integration_hub.sync.schedule import due_streams
from tests.compare import source, table

KINDS = ("full", "incremental", "cursor")
LISTS_ALL = ('endpoint = "/v1/changes"', 'endpoint = "/v1/changes"\ncursor_lists_all = true')


def everything(runtime) -> dict[str, list]:
	"""Return all rows of all tables."""
	names = runtime.db.query("SELECT `name` FROM sqlite_master WHERE `type` = 'table'")
	return {row["name"]: runtime.db.query(f"SELECT * FROM `{row['name']}`") for row in names}


def test_an_expired_cursor_falls_back_to_everything_and_says_so(runtime, crm):
	run_stream(runtime, "customers-cursor")
	crm.change(create=3, update=10, delete=4)
	crm.customers.expire()
	row = run_stream(runtime, "customers-cursor")
	assert row["status"] == "Completed"
	assert "cursor had expired" in row["error"] and "is not known" in row["error"]
	want = source(crm)
	assert [r for r in table(runtime, "cursor") if r in want] == want
	assert len(table(runtime, "cursor")) == len(want) + 4, (
		"a feed that forgot proves nothing about what is gone"
	)
	assert run_stream(runtime, "customers-cursor")["fetched"] == 0


def test_a_feed_that_lists_everything_finds_out_what_is_gone(make_runtime, crm):
	runtime = make_runtime(LISTS_ALL)
	run_stream(runtime, "customers-cursor")
	crm.change(create=3, update=10, delete=4)
	crm.customers.expire()
	row = run_stream(runtime, "customers-cursor")
	assert (row["deleted"], row["error"]) == (4, "The cursor had expired: everything was fetched again.")
	assert table(runtime, "cursor") == source(crm)


def test_a_walk_of_a_whole_feed_keeps_its_mark_over_broken_runs(make_runtime, crm):
	runtime = make_runtime(LISTS_ALL, ("backoff_min = 0.01", "backoff_min = 0.01\nmax_attempts = 1"))
	run_stream(runtime, "customers-cursor")
	crm.customers.delete(4)
	crm.customers.expire()
	crm.faults.set(following=["none", "none", "500"])  # the refused cursor, a page, and then
	assert run_stream(runtime, "customers-cursor")["status"] == "Failed"
	row = run_stream(runtime, "customers-cursor")
	assert (row["status"], row["deleted"]) == ("Completed", 4)
	assert table(runtime, "cursor") == source(crm)


def test_a_backfill_fetches_its_range_and_leaves_the_checkpoint(runtime, crm):
	run_stream(runtime, "customers-incremental")
	times = [row["updated_at"] for row in crm.customers.select()]
	runtime.db.execute("UPDATE `tabSandbox Customer Change` SET `city` = 'lost'")
	runtime.db.execute("UPDATE `tabExternal Record` SET `content_hash` = ''")
	before = runtime.db.query("SELECT `checkpoint`, `next_run_at` FROM `tabSync Settings` ORDER BY `name`")
	row = run_stream(runtime, "customers-incremental", period=Period.read(times[50], times[99]))
	inside = [time for time in times if times[50] <= time <= times[99]]
	assert (row["mode"], row["updated"], row["status"]) == ("Backfill", len(inside), "Completed")
	assert row["period"] == f"{times[50]} – {times[99]}"
	assert sum(r["city"] != "lost" for r in table(runtime, "incremental")) == len(inside)
	assert (
		runtime.db.query("SELECT `checkpoint`, `next_run_at` FROM `tabSync Settings` ORDER BY `name`")
		== before
	)


@pytest.mark.parametrize(
	("stream", "since", "until", "says"),
	[
		("customers-incremental", "yesterday", "", "not an ISO 8601 time"),
		("customers-incremental", "2026-02-01", "2026-01-01", "is before"),
		("customers-cursor", "2026-01-01", "", "change feed"),
	],
)
def test_a_backfill_that_cannot_be_is_refused(runtime, stream, since, until, says):
	with pytest.raises(HubError, match=says):
		run_stream(runtime, stream, period=Period.read(since, until))
	assert runtime.db.query("SELECT * FROM `tabSync Log`") == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_dry_run_says_what_a_run_then_does_and_writes_nothing(runtime, crm, kind):
	name = f"customers-{kind}"
	for change in ({}, {"create": 5, "update": 40, "delete": 7}):
		crm.change(**change)
		runtime.connector("crm").get("/v1/me")  # a token is fetched and kept, by the first caller
		before = everything(runtime)
		found = dry_run(runtime, name)
		assert everything(runtime) == before
		row = run_stream(runtime, name)
		counts = vars(found.counts)
		for count in ("fetched", "created", "updated", "unchanged"):
			assert counts[count] == row[count], count
		assert counts["deleted"] + found.orphans == row["deleted"]
	assert {one.action for one in found.sample} <= {"create", "update", "delete"}


def test_a_dry_run_shows_the_changes_of_a_sample(runtime, crm):
	run_stream(runtime, "customers-full")
	crm.customers.set("CUST-000007", city="Bonn")
	crm.customers.set("CUST-000009", credit_limit="a lot")
	found = dry_run(runtime, "customers-full")
	[failure] = [one for one in found.sample if one.action == "fail"]
	assert failure.external_id == "CUST-000009" and "credit_limit" in failure.error
	[update_] = [one for one in found.sample if one.action == "update"]
	assert update_.external_id == "CUST-000007" and update_.changes["city"][1] == "Bonn"
	assert list(update_.changes) == ["city"], "a number that is the same in another type is no change"


def test_a_dry_run_says_that_deletions_would_wait(runtime, crm):
	run_stream(runtime, "customers-full")
	crm.customers.delete(120)
	found = dry_run(runtime, "customers-full")
	assert (found.orphans, found.approval) == (120, True)


def test_a_preview_maps_one_page_and_shows_what_fails(runtime, crm):
	crm.customers.set("CUST-000002", credit_limit="a lot")
	before = everything(runtime)
	first, second, *_ = preview(runtime, "customers-full", limit=3)
	assert first["values"]["customer_id"] == "CUST-000001" and first["error"] == ""
	assert "credit_limit: 'a lot' is not a number" in second["error"]
	assert crm.requests == 1
	after = everything(runtime)
	assert {name for name in after if after[name] != before[name]} <= {"hub_secret"}


def test_small_streams_go_first(runtime):
	for kind, seconds in zip(KINDS, (2, 30, 400), strict=True):
		update(runtime.db, "Sync Settings", f"customers-{kind}", {"last_duration": seconds})
	assert due_streams(runtime) == [f"customers-{kind}" for kind in KINDS]


def test_the_command_line_previews_tries_backfills_and_approves(runtime, crm):
	def run(*arguments: str) -> str:
		result = CliRunner().invoke(
			integration_hub, ["--config", str(runtime.file.folder / "hub.toml"), *arguments]
		)
		assert result.exit_code == 0, result.output
		return result.output

	assert "customer_id: CUST-000001" in run("preview", "customers-full")
	assert "would be 250 fetched, 250 created" in run("sync", "customers-full", "--dry-run")
	assert table(runtime, "full") == []
	assert "250 created" in run("sync", "customers-full")
	assert "Completed" in run(
		"sync", "customers-incremental", "--from", "2026-01-01", "--until", "2026-01-01"
	)
	crm.customers.delete(120)
	held = run("sync", "customers-full")
	name = held.split("`approve ")[1].split("`")[0]
	assert "120 deleted" in run("approve", name)


def test_a_change_dated_in_the_future_does_not_outlive_its_deletion(runtime, crm):
	"""The source's clock was days ahead for a while: what was changed then is deleted at an earlier time."""
	id, right = crm.customers.alive()[0]["id"], crm.customers.clock
	crm.customers.clock = datetime.now(timezone.utc) + timedelta(days=3)
	crm.customers.set(id, city="Tomorrowland")
	for kind in ("incremental", "cursor"):
		run_stream(runtime, f"customers-{kind}")
	crm.customers.clock = right
	crm.customers.delete(250)
	runtime.db.execute("UPDATE `tabSync Settings` SET `max_delete_count` = 1000")
	for kind in ("incremental", "cursor"):
		run_stream(runtime, f"customers-{kind}")
		assert table(runtime, kind) == source(crm) == []


def test_a_change_feed_is_believed_in_its_order_whatever_the_times_say(runtime, crm):
	"""The source's clock went back by a minute between a change and a deletion."""
	run_stream(runtime, "customers-cursor")
	for row in crm.customers.alive():
		crm.customers.set(row["id"], city="Pune")
	run_stream(runtime, "customers-cursor")
	crm.customers.clock -= timedelta(hours=1)
	crm.customers.delete(5)
	run_stream(runtime, "customers-cursor")
	assert table(runtime, "cursor") == source(crm)


@pytest.mark.parametrize("kind", ["cursor", "incremental"])
def test_a_record_that_failed_and_is_gone_is_found_gone_by_a_walk_of_everything(make_runtime, crm, kind):
	runtime, stream = make_runtime(LISTS_ALL), f"customers-{kind}"
	run_stream(runtime, stream)
	id = crm.customers.alive()[0]["id"]
	crm.customers.set(id, credit_limit="as much as she likes")
	assert run_stream(runtime, stream)["failed"] == 1
	del crm.customers._rows[id]  # and nothing tells of it
	crm.customers.expire()
	update(runtime.db, "Sync Settings", stream, {"checkpoint": None})
	run_stream(runtime, stream)
	assert table(runtime, kind) == source(crm)


def test_a_worker_goes_on_after_its_database_was_away(runtime, monkeypatch):
	stop, tried, told = threading.Event(), [], []

	def work_once(_):
		tried.append(1)
		if len(tried) == 1:
			raise ConnectionError("gone away")
		stop.set()
		return worker.Worked(runs=1)

	monkeypatch.setattr(worker, "work_once", work_once)
	worker.work(runtime, stop, told.append)
	assert len(tried) == 2 and told == [worker.Worked(runs=1)]
