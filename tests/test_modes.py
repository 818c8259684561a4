"""Expired cursors, backfills, dry runs, previews, schedules."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.homes import worker
from integration_hub.stores.database import update
from integration_hub.stores.home import HubError
from integration_hub.sync.dryrun import dry_run, preview
from integration_hub.sync.modes import Period
from integration_hub.sync.run import run_stream
from integration_hub.sync.schedule import due_streams
from tests.compare import source, table

KINDS = ("full", "incremental", "cursor")
LISTS_ALL = ('endpoint = "/v1/changes"', 'endpoint = "/v1/changes"\ncursor_lists_all = true')


def everything(home) -> dict[str, list]:
	"""Return all rows of all tables."""
	names = home.db.query("SELECT `name` FROM sqlite_master WHERE `type` = 'table'")
	return {row["name"]: home.db.query(f"SELECT * FROM `{row['name']}`") for row in names}


def test_an_expired_cursor_falls_back_to_everything_and_says_so(home, crm):
	run_stream(home, "customers-cursor")
	crm.change(create=3, update=10, delete=4)
	crm.customers.expire()
	row = run_stream(home, "customers-cursor")
	assert row["status"] == "Completed"
	assert "cursor had expired" in row["error"] and "was not found out" in row["error"]
	want = source(crm)
	assert [r for r in table(home, "cursor") if r in want] == want
	assert len(table(home, "cursor")) == len(want) + 4, "a feed that forgot proves nothing about what is gone"
	assert run_stream(home, "customers-cursor")["fetched"] == 0


def test_a_feed_that_lists_everything_finds_out_what_is_gone(make_home, crm):
	home = make_home(LISTS_ALL)
	run_stream(home, "customers-cursor")
	crm.change(create=3, update=10, delete=4)
	crm.customers.expire()
	row = run_stream(home, "customers-cursor")
	assert (row["deleted"], row["error"]) == (4, "The cursor had expired: everything was fetched again.")
	assert table(home, "cursor") == source(crm)


def test_a_walk_of_a_whole_feed_keeps_its_mark_over_broken_runs(make_home, crm):
	home = make_home(LISTS_ALL, ("backoff_min = 0.01", "backoff_min = 0.01\nmax_attempts = 1"))
	run_stream(home, "customers-cursor")
	crm.customers.delete(4)
	crm.customers.expire()
	crm.faults.set(following=["none", "none", "500"])  # the refused cursor, a page, and then
	assert run_stream(home, "customers-cursor")["status"] == "Failed"
	row = run_stream(home, "customers-cursor")
	assert (row["status"], row["deleted"]) == ("Completed", 4)
	assert table(home, "cursor") == source(crm)


def test_a_backfill_fetches_its_range_and_leaves_the_checkpoint(home, crm):
	run_stream(home, "customers-incremental")
	times = [row["updated_at"] for row in crm.customers.select()]
	home.db.execute("UPDATE `tabSandbox Customer Change` SET `city` = 'lost'")
	home.db.execute("UPDATE `tabExternal Record` SET `content_hash` = ''")
	before = home.db.query("SELECT `checkpoint`, `next_run_at` FROM `tabSync Settings` ORDER BY `name`")
	row = run_stream(home, "customers-incremental", period=Period.read(times[50], times[99]))
	inside = [time for time in times if times[50] <= time <= times[99]]
	assert (row["mode"], row["updated"], row["status"]) == ("Backfill", len(inside), "Completed")
	assert row["period"] == f"{times[50]} – {times[99]}"
	assert sum(r["city"] != "lost" for r in table(home, "incremental")) == len(inside)
	assert (
		home.db.query("SELECT `checkpoint`, `next_run_at` FROM `tabSync Settings` ORDER BY `name`") == before
	)


@pytest.mark.parametrize(
	("stream", "since", "until", "says"),
	[
		("customers-incremental", "yesterday", "", "not an ISO 8601 time"),
		("customers-incremental", "2026-02-01", "2026-01-01", "is before"),
		("customers-cursor", "2026-01-01", "", "change feed"),
	],
)
def test_a_backfill_that_cannot_be_is_refused(home, stream, since, until, says):
	with pytest.raises(HubError, match=says):
		run_stream(home, stream, period=Period.read(since, until))
	assert home.db.query("SELECT * FROM `tabSync Log`") == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_dry_run_says_what_a_run_then_does_and_writes_nothing(home, crm, kind):
	name = f"customers-{kind}"
	for change in ({}, {"create": 5, "update": 40, "delete": 7}):
		crm.change(**change)
		home.connector("crm").get("/v1/me")  # a token is fetched and kept, by whoever comes first
		before = everything(home)
		found = dry_run(home, name)
		assert everything(home) == before
		row = run_stream(home, name)
		counts = vars(found.counts)
		for count in ("fetched", "created", "updated", "unchanged"):
			assert counts[count] == row[count], count
		assert counts["deleted"] + found.orphans == row["deleted"]
	assert {one.action for one in found.sample} <= {"create", "update", "delete"}


def test_a_dry_run_shows_the_changes_of_a_sample(home, crm):
	run_stream(home, "customers-full")
	crm.customers.set("CUST-000007", city="Bonn")
	crm.customers.set("CUST-000009", credit_limit="a lot")
	found = dry_run(home, "customers-full")
	[failure] = [one for one in found.sample if one.action == "fail"]
	assert failure.external_id == "CUST-000009" and "credit_limit" in failure.error
	[update_] = [one for one in found.sample if one.action == "update"]
	assert update_.external_id == "CUST-000007" and update_.changes["city"][1] == "Bonn"
	assert list(update_.changes) == ["city"], "a number that is the same in another type is no change"


def test_a_dry_run_says_that_deletions_would_wait(home, crm):
	run_stream(home, "customers-full")
	crm.customers.delete(120)
	found = dry_run(home, "customers-full")
	assert (found.orphans, found.approval) == (120, True)


def test_a_preview_maps_one_page_and_shows_what_fails(home, crm):
	crm.customers.set("CUST-000002", credit_limit="a lot")
	before = everything(home)
	first, second, *_ = preview(home, "customers-full", limit=3)
	assert first["values"]["customer_id"] == "CUST-000001" and first["error"] == ""
	assert "credit_limit: 'a lot' is not a number" in second["error"]
	assert crm.requests == 1
	after = everything(home)
	assert {name for name in after if after[name] != before[name]} <= {"hub_secret"}


def test_small_streams_go_first(home):
	for kind, seconds in zip(KINDS, (2, 30, 400), strict=True):
		update(home.db, "Sync Settings", f"customers-{kind}", {"last_duration": seconds})
	assert due_streams(home) == [f"customers-{kind}" for kind in KINDS]


def test_the_command_line_previews_tries_backfills_and_approves(home, crm):
	def run(*arguments: str) -> str:
		result = CliRunner().invoke(
			integration_hub, ["--config", str(home.file.folder / "hub.toml"), *arguments]
		)
		assert result.exit_code == 0, result.output
		return result.output

	assert "customer_id: CUST-000001" in run("preview", "customers-full")
	assert "would be 250 fetched, 250 created" in run("sync", "customers-full", "--dry-run")
	assert table(home, "full") == []
	assert "250 created" in run("sync", "customers-full")
	assert "Completed" in run(
		"sync", "customers-incremental", "--from", "2026-01-01", "--until", "2026-01-01"
	)
	crm.customers.delete(120)
	held = run("sync", "customers-full")
	name = held.split("`approve ")[1].split("`")[0]
	assert "120 deleted" in run("approve", name)


def test_a_change_dated_in_the_future_does_not_outlive_its_deletion(home, crm):
	"""The source's clock was days ahead for a while: what was changed then is deleted at an earlier time."""
	id, right = crm.customers.alive()[0]["id"], crm.customers.clock
	crm.customers.clock = datetime.now(timezone.utc) + timedelta(days=3)
	crm.customers.set(id, city="Tomorrowland")
	for kind in ("incremental", "cursor"):
		run_stream(home, f"customers-{kind}")
	crm.customers.clock = right
	crm.customers.delete(250)
	home.db.execute("UPDATE `tabSync Settings` SET `max_delete_count` = 1000")
	for kind in ("incremental", "cursor"):
		run_stream(home, f"customers-{kind}")
		assert table(home, kind) == source(crm) == []


def test_a_change_feed_is_believed_in_its_order_whatever_the_times_say(home, crm):
	"""The source's clock went back by a minute between a change and a deletion."""
	run_stream(home, "customers-cursor")
	for row in crm.customers.alive():
		crm.customers.set(row["id"], city="Pune")
	run_stream(home, "customers-cursor")
	crm.customers.clock -= timedelta(hours=1)
	crm.customers.delete(5)
	run_stream(home, "customers-cursor")
	assert table(home, "cursor") == source(crm)


@pytest.mark.parametrize("kind", ["cursor", "incremental"])
def test_a_record_that_failed_and_is_gone_is_found_gone_by_a_walk_of_everything(make_home, crm, kind):
	home, stream = make_home(LISTS_ALL), f"customers-{kind}"
	run_stream(home, stream)
	id = crm.customers.alive()[0]["id"]
	crm.customers.set(id, credit_limit="as much as she likes")
	assert run_stream(home, stream)["failed"] == 1
	del crm.customers._rows[id]  # and nothing tells of it
	crm.customers.expire()
	update(home.db, "Sync Settings", stream, {"checkpoint": None})
	run_stream(home, stream)
	assert table(home, kind) == source(crm)


def test_a_worker_goes_on_after_its_database_was_away(home, monkeypatch):
	stop, tried, told = threading.Event(), [], []

	def work_once(_):
		tried.append(1)
		if len(tried) == 1:
			raise ConnectionError("gone away")
		stop.set()
		return worker.Worked(runs=1)

	monkeypatch.setattr(worker, "work_once", work_once)
	worker.work(home, stop, told.append)
	assert len(tried) == 2 and told == [worker.Worked(runs=1)]
