"""What is gone is decided by the order of runs and events in the database: no clock, wherever it stands, has a say in it.

A source lists its records by id, two a page; what a test has happen before a page is fetched happens there.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.errors import Gone, RetryLater
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox import sender
from integration_hub.stores import bindings, ids
from integration_hub.stores.database import update
from integration_hub.stores.seen_marks import Mark, event_mark
from integration_hub.sync.dry_runs import dry_run
from integration_hub.sync.modes import Period
from integration_hub.sync.run import approve_deletions, run_stream
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from tests.test_clock import clock  # noqa: F401

HOUR = 3600.0
HOURS = [-30 * 24 * HOUR, -3 * HOUR, 3 * HOUR, 30 * 24 * HOUR]  # by which a clock is wrong
HUB = """
[hub]
encryption_key = "env:HUB_KEY"

[connectors]
Shelf = "tests.test_marks.Shelf"

[integration.source]
connector = "Shelf"
base_url = "https://example.com"
webhook_enabled = true
webhook_secret = "env:CRM_WEBHOOK_SECRET"
signature_header = "X-Webhook-Signature"
event_type_path = "event"
event_id_path = "id"

[[integration.source.routes]]
event_pattern = "thing.deleted"
action = "Delete Record"
stream = "things"
record_path = "data"

[[integration.source.routes]]
event_pattern = "thing.*"
action = "Upsert Record"
stream = "things"
record_path = "data"

[stream.things]
integration = "source"
mode = "{mode}"
endpoint = "/things"
updated_at_path = "at"
pagination = "Cursor"
target_doctype = "Thing"
deletion_policy = "Delete"
overlap_seconds = 0
stable_pages = {stable}
{settings}

[stream.things.mapping]
title = "title"
thing_id = "id"

[table.Thing]
title = "Data"
thing_id = "Int"
"""


class Shelf(BaseConnector):
	"""The source: things by id, and what happens before each page of a fetch."""

	things: dict[int, dict] = {}
	before: Callable[[int], None] = staticmethod(lambda page: None)
	minutes = itertools.count()

	@classmethod
	def put(cls, *ids: int) -> None:
		for id in ids:
			at = f"2026-01-01T{next(cls.minutes) // 60 % 24:02d}:{next(cls.minutes) % 60:02d}:00Z"
			cls.things[id] = {"id": id, "title": f"Thing {id} at {at}", "at": at}

	def pages(self, request: ListRequest) -> Iterator[Page]:
		after, last = int(request.state or 0), False
		for number in itertools.count(1):
			if last:
				return
			type(self).before(number)
			rest = sorted(id for id in self.things if id > after)
			after, last = max(rest[:2], default=after), len(rest) <= 2
			yield Page([self.things[id] for id in rest[:2]], str(after), last, 10)


@pytest.fixture
def hub(tmp_path: Path, runtime, monkeypatch) -> Iterator[Callable[..., StandaloneRuntime]]:
	"""Return a function that opens a hub with a stream of things; the shelf holds ten of them."""
	opened: list[StandaloneRuntime] = []

	def open_runtime(
		mode: str = "Full", stable: bool = True, settings: str = "max_delete_count = 99"
	) -> StandaloneRuntime:
		for each in opened:
			each.close()
		opened.clear()
		Shelf.things, Shelf.minutes, Shelf.before = {}, itertools.count(), staticmethod(lambda page: None)
		Shelf.put(*range(10, 20))
		folder = tmp_path / str(time.monotonic_ns())
		folder.mkdir()
		text = HUB.format(mode=mode, stable=str(stable).lower(), settings=settings)
		(folder / "hub.toml").write_text(text)
		opened.append(StandaloneRuntime(folder / "hub.toml"))
		return opened[-1]

	yield open_runtime
	for each in opened:
		each.close()


def during(happens: dict[int, Callable[[], object]]) -> None:
	"""Have something happen before pages of the fetches that come, once each."""

	def before(page: int) -> None:
		if page in happens:
			happens.pop(page)()

	Shelf.before = staticmethod(before)


def here(runtime: StandaloneRuntime) -> set[int]:
	return {row["thing_id"] for row in runtime.db.query("SELECT `thing_id` FROM `tabThing`")}


def tell(runtime: StandaloneRuntime, kind: str, record: dict) -> None:
	"""Have an event come and be handled."""
	body = sender.make(f"thing.{kind}", record).body
	request = Request("source", "POST", {sender.HEADER.lower(): sender.sign(body)}, body)
	assert receive(runtime, request).status == 200
	assert drain(runtime, "source").completed == 1


def later() -> None:
	raise RetryLater(60)


def killed() -> None:
	raise KeyboardInterrupt


def ran(runtime: StandaloneRuntime, **more) -> dict:
	"""Run the stream; return its Sync Log row, {} if it was asked to stop."""
	try:
		return run_stream(runtime, "things", **more)
	except KeyboardInterrupt:
		return {}


def same(runtime: StandaloneRuntime) -> bool:
	return here(runtime) == Shelf.things.keys()


# Clocks


@pytest.mark.parametrize("first, second, amid", [*itertools.product([0, *HOURS], repeat=3)])
def test_what_is_gone_goes_wherever_the_clock_stands_in_two_runs(hub, clock, first, second, amid):  # noqa: F811
	runtime = hub()
	clock(first)
	ran(runtime)
	del Shelf.things[13], Shelf.things[18]
	clock(second)
	during({3: lambda: clock(amid)})
	row = ran(runtime)
	assert (row["status"], row["deleted"], row["error"]) == ("Completed", 2, None)
	assert same(runtime)
	clock(0)
	assert ran(runtime)["deleted"] == 0 and same(runtime)


def test_two_runs_in_the_same_microsecond(hub, monkeypatch):
	runtime, now = hub(), time.time_ns()
	monkeypatch.setattr(time, "time_ns", lambda: now)
	ran(runtime)
	del Shelf.things[11]
	assert ran(runtime)["deleted"] == 1
	Shelf.put(11)
	assert ran(runtime)["created"] == 1
	del Shelf.things[12]
	assert ran(runtime)["deleted"] == 1 and same(runtime)


# Events during a run


@pytest.mark.parametrize("ahead", [0, *HOURS])
@pytest.mark.parametrize("stable", [True, False])
def test_what_an_event_makes_behind_a_walk_stays(hub, clock, ahead, stable):  # noqa: F811
	runtime = hub(stable=stable)
	ran(runtime)
	del Shelf.things[10]

	def made_behind_the_walk() -> None:
		clock(ahead)
		Shelf.put(5)
		tell(runtime, "created", Shelf.things[5])
		clock(0)

	during({4: made_behind_the_walk})
	assert ran(runtime)["deleted"] == 1
	assert same(runtime)
	del Shelf.things[5]
	assert ran(runtime)["deleted"] == 1 and same(runtime), "its next fetch finds it gone"


@pytest.mark.parametrize("ahead", [0, *HOURS])
def test_an_event_of_before_a_run_does_not_keep_what_is_gone(hub, clock, ahead):  # noqa: F811
	runtime = hub()
	ran(runtime)
	Shelf.put(5)
	clock(ahead)
	tell(runtime, "created", Shelf.things[5])
	tell(runtime, "updated", Shelf.things[11])
	del Shelf.things[5], Shelf.things[11]
	clock(0)
	assert ran(runtime)["deleted"] == 2 and same(runtime)


@pytest.mark.parametrize("ahead", [0, *HOURS])
def test_an_event_that_is_older_than_what_a_run_fetched_takes_nothing_back(hub, clock, ahead):  # noqa: F811
	runtime = hub()
	old = {**Shelf.things[11], "title": "old"}
	ran(runtime)
	Shelf.put(11)

	def late() -> None:
		clock(ahead)
		tell(runtime, "updated", old)
		clock(0)

	during({3: late})
	assert ran(runtime)["deleted"] == 0 and same(runtime)
	[row] = runtime.db.query("SELECT `title` FROM `tabThing` WHERE `thing_id` = 11")
	assert row["title"] == Shelf.things[11]["title"]


@pytest.mark.parametrize("ahead", [0, *HOURS])
def test_a_newer_event_wins_over_a_page_that_was_fetched_before(hub, clock, ahead):  # noqa: F811
	runtime = hub()
	ran(runtime)
	fetched = dict(Shelf.things[14])

	def pages(self, request: ListRequest) -> Iterator[Page]:
		clock(ahead)
		Shelf.put(14)
		tell(runtime, "updated", Shelf.things[14])
		clock(0)
		yield Page([*({**Shelf.things, 14: fetched}).values()], "", True, 10)

	with pytest.MonkeyPatch.context() as patch:
		patch.setattr(Shelf, "pages", pages)
		ran(runtime)
	[row] = runtime.db.query("SELECT `title` FROM `tabThing` WHERE `thing_id` = 14")
	assert row["title"] == Shelf.things[14]["title"]


# Fetches that are broken off and go on


@pytest.mark.parametrize("stop", [later, killed])
@pytest.mark.parametrize("ahead", [0, *HOURS])
def test_a_walk_that_goes_on_knows_what_it_has_met(hub, clock, stop, ahead):  # noqa: F811
	runtime = hub(settings='max_delete_count = 99\nchanged_since_param = "since"')
	ran(runtime)
	del Shelf.things[12]
	during({4: stop})
	ran(runtime)  # 10, 11, 13, 14, 15, 16 were met
	clock(ahead)
	Shelf.put(5, 15)
	tell(runtime, "created", Shelf.things[5])  # behind the fetch
	ran(runtime, period=Period.read("2026-01-01"))  # marks all of them as its own
	del Shelf.things[11], Shelf.things[18]
	clock(0)
	row = ran(runtime)
	assert row["fetched"] < len(Shelf.things), "it went on where it had stopped"
	assert here(runtime) - Shelf.things.keys() <= {11, 18} and here(runtime) >= Shelf.things.keys()
	ran(runtime)
	assert same(runtime)


@pytest.mark.parametrize("stop", [later, killed])
def test_a_walk_that_goes_on_under_another_run_removes_what_nobody_has_met(hub, stop):
	runtime = hub()
	ran(runtime)
	del Shelf.things[12], Shelf.things[19]
	during({4: stop})
	ran(runtime)
	assert ran(runtime)["deleted"] == 2 and same(runtime)


def test_a_run_that_was_killed_without_a_word_marks_nothing_for_the_next(hub):
	runtime = hub()
	ran(runtime)
	del Shelf.things[12]
	during({4: killed})
	ran(runtime)
	update(runtime.db, "Sync Settings", "things", {"resume": None})
	del Shelf.things[10]
	assert ran(runtime)["deleted"] == 2 and same(runtime)


@pytest.mark.parametrize("whole", [True, False])
def test_a_walk_that_an_earlier_version_left_begins_at_its_beginning(hub, whole):
	runtime = (
		hub(mode="Cursor", settings="cursor_lists_all = true\nmax_delete_count = 99") if whole else hub()
	)
	ran(runtime)
	update(runtime.db, "Sync Settings", "things", {"checkpoint": None})
	during({4: later})
	ran(runtime)
	[row] = runtime.db.query("SELECT `resume` FROM `tabSync Settings`")
	left = json.loads(row["resume"])
	del left["number"]
	update(runtime.db, "Sync Settings", "things", {"resume": json.dumps(left)})
	runtime.db.execute("UPDATE `tabExternal Record` SET `run_number` = 0")  # and it numbered nothing
	del Shelf.things[11]
	assert ran(runtime)["deleted"] == 1 and same(runtime)


@pytest.mark.parametrize("ahead", [0, *HOURS])
def test_a_feed_whose_cursor_expired_finds_what_is_gone(hub, clock, ahead):  # noqa: F811
	runtime = hub(mode="Cursor", settings="cursor_lists_all = true\nmax_delete_count = 99")
	clock(ahead)
	ran(runtime)
	clock(0)
	del Shelf.things[11]

	def expired() -> None:
		raise Gone(status=410)

	during({1: expired, 3: lambda: clock(ahead)})
	row = ran(runtime)
	assert row["deleted"] == 1 and same(runtime), row


def test_what_a_feed_told_of_before_its_cursor_expired_may_be_gone_since(hub):
	runtime = hub(mode="Cursor", settings="cursor_lists_all = true\nmax_delete_count = 99")
	ran(runtime)
	Shelf.put(20, 21, 22)

	def expired() -> None:
		del Shelf.things[20]
		raise Gone(status=410)

	during({2: expired})
	assert ran(runtime)["deleted"] == 1 and same(runtime)


def test_who_has_seen_a_record_since_stays_who_has_seen_it_last(hub):
	runtime = hub()
	ran(runtime)
	[name] = [row["name"] for row in runtime.db.query("SELECT `name` FROM `tabExternal Record` LIMIT 1")]

	def seen(mark: Mark) -> tuple[str, int]:
		bindings.mark_seen(runtime.db, [name], mark)
		[row] = runtime.db.query(
			"SELECT `last_seen`, `run_number` FROM `tabExternal Record` WHERE `name` = %s", [name]
		)
		return row["last_seen"], row["run_number"]

	told = event_mark(ids.new_id(), 5)
	assert seen(Mark("run 5", 5)) == ("run 5", 5)
	assert seen(event_mark(ids.new_id(), 4)) == ("run 5", 5), "an event that had looked before the run began"
	assert seen(told) == (told.by, 5)
	assert seen(Mark("run 5", 5)) == (told.by, 5), "an event has seen it since"
	assert seen(Mark("run 4", 4)) == (told.by, 5), "a fetch that goes on"
	assert seen(Mark("run 6", 6)) == ("run 6", 6)


def test_the_second_look_keeps_what_slipped_to_a_page_before(hub):
	runtime = hub(stable=False)
	ran(runtime)

	def slips() -> None:
		Shelf.things[5] = Shelf.things.pop(17)  # another place in the list
		Shelf.things[5]["id"] = 17

	during({4: slips})
	assert ran(runtime)["deleted"] == 0
	assert len(here(runtime)) == 10


# Approvals


@pytest.mark.parametrize("ahead", [0, *HOURS])
def test_what_is_approved_days_later_is_what_was_shown_and_is_still_gone(hub, clock, ahead):  # noqa: F811
	runtime = hub(settings="max_delete_count = 1\nmax_delete_percent = 0")
	ran(runtime)
	for id in (10, 11, 12, 13):
		del Shelf.things[id]
	shown = dry_run(runtime, "things")
	held = ran(runtime)
	assert (held["status"], held["to_delete"], shown.orphans, shown.approval) == (
		"Needs Approval",
		4,
		4,
		True,
	)
	clock(ahead)
	Shelf.put(13)
	tell(runtime, "created", Shelf.things[13])
	during({2: later})
	ran(runtime)  # which met 14 and 15, and came no further
	done = approve_deletions(runtime, held["name"])
	assert (done["status"], done["deleted"]) == ("Completed", 3)
	assert same(runtime)
	clock(0)
	assert ran(runtime)["deleted"] == 0 and same(runtime)


def test_what_a_later_run_holds_is_that_runs(hub):
	runtime = hub(settings="max_delete_count = 1\nmax_delete_percent = 0")
	ran(runtime)
	del Shelf.things[10], Shelf.things[11]
	first = ran(runtime)
	Shelf.put(10)
	del Shelf.things[12]
	second = ran(runtime)
	assert (first["to_delete"], second["to_delete"]) == (2, 2)
	assert approve_deletions(runtime, second["name"])["deleted"] == 2
	assert same(runtime)


@pytest.mark.parametrize("gone", range(0, 8))
@pytest.mark.parametrize("limit", [1, 3])
def test_a_dry_run_counts_what_then_goes(hub, gone, limit):
	runtime = hub(settings=f"max_delete_count = {limit}\nmax_delete_percent = 0")
	ran(runtime)
	for id in range(10, 10 + gone):
		del Shelf.things[id]
	tell(runtime, "updated", Shelf.things[19])
	shown = dry_run(runtime, "things")
	row = ran(runtime)
	assert shown.orphans == row["deleted"] + row["to_delete"] == gone
	assert shown.approval == (row["status"] == "Needs Approval") == (gone > limit)
	if shown.approval:
		assert approve_deletions(runtime, row["name"])["deleted"] == gone
	assert same(runtime)


def test_what_the_source_marks_and_what_is_missing_count_together(hub):
	runtime = hub(settings='max_delete_count = 3\nmax_delete_percent = 0\ndeleted_path = "gone"')
	ran(runtime)
	for id in (10, 11):
		Shelf.put(id)
		Shelf.things[id]["gone"] = True
	for id in (18, 19):
		del Shelf.things[id]
	shown = dry_run(runtime, "things")
	row = ran(runtime)
	assert shown.approval and (row["status"], row["deleted"], row["to_delete"]) == ("Needs Approval", 2, 2)
	assert approve_deletions(runtime, row["name"])["deleted"] == 2


def test_settings_that_are_made_again_count_on_from_what_is_bound(hub):
	runtime = hub()
	for _ in range(3):
		ran(runtime)
	runtime.db.execute("UPDATE `tabSync Settings` SET `run_number` = 0")
	del Shelf.things[10]
	assert ran(runtime)["deleted"] == 1 and same(runtime)


# All of it together

STEPS = st.lists(
	st.tuples(
		st.sampled_from(["put", "put", "delete", "tell", "tell", "clock", "stop", "kill", "fail"]),
		st.integers(0, 99),
	),
	max_size=4,
)
LIVES = st.lists(
	st.tuples(st.sampled_from(["run", "run", "run", "backfill", "approve", "between"]), st.dictionaries(st.integers(1, 8), STEPS, max_size=3)),
	min_size=1,
	max_size=6,
)  # fmt: skip


class World:
	"""A source, a hub and a clock, in which anything happens at any time."""

	def __init__(self, runtime: StandaloneRuntime, set_clock: Callable[[float], None], keeps: set[int]):
		self.runtime, self.set_clock, self.keeps = runtime, set_clock, keeps
		self.untold: list[tuple[str, dict]] = []
		self.made: set[int] = set()

	def do(self, step: str, number: int) -> None:
		if step == "put":
			id = 1 + number % 30
			Shelf.put(id)
			self.untold.append(("updated", dict(Shelf.things[id])))
		elif step == "delete":
			gone = sorted(Shelf.things.keys() - self.keeps)
			if len(gone) > 1:
				record = Shelf.things.pop(gone[number % len(gone)])
				Shelf.put(99)  # only to have a later time
				self.untold.append(("deleted", {**record, "at": Shelf.things.pop(99)["at"]}))
		elif step == "tell" and self.untold:
			tell(self.runtime, *self.untold.pop(number % len(self.untold)))
		elif step == "clock":
			self.set_clock([0, *HOURS][number % (len(HOURS) + 1)])
		elif step in ("stop", "kill", "fail"):
			raise {"stop": RetryLater(60), "kill": KeyboardInterrupt(), "fail": ValueError("x")}[step]
		self.check()

	def check(self) -> None:
		"""What the source has had all the time, and was once made here, is here."""
		found = here(self.runtime)
		assert self.made <= found, "a document went whose record was never gone"
		self.made |= found & self.keeps

	def live(self, what: str, happens: dict[int, list[tuple[str, int]]]) -> None:
		left = {
			page: lambda steps=steps: [self.do(*step) for step in steps] for page, steps in happens.items()
		}
		if what == "between":
			for steps in happens.values():
				for step, number in steps:
					if step not in ("stop", "kill", "fail"):
						self.do(step, number)
			return
		if what == "approve":
			held = self.runtime.db.query("SELECT `name` FROM `tabSync Log` WHERE `status` = 'Needs Approval'")
			for row in held:
				approve_deletions(self.runtime, row["name"])
		else:
			during(left)
			ran(self.runtime, **({"period": Period.read("2026-01-01")} if what == "backfill" else {}))
		self.check()


@pytest.mark.parametrize("limit", [1, 99])
@settings(
	max_examples=int(os.environ.get("HUB_MARKS_EXAMPLES", 60)),
	deadline=None,
	suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(life=LIVES, stable=st.booleans())
def test_nothing_goes_that_was_never_gone_and_all_that_is_gone_goes(hub, clock, limit, life, stable):  # noqa: F811
	clock(0)
	more = f'max_delete_count = {limit}\nmax_delete_percent = 0\nchanged_since_param = "since"'
	world = World(hub(stable=stable, settings=more), clock, {*range(10, 20, 2)})
	for what, happens in life:
		world.live(what, happens)
	for kind, record in world.untold:
		tell(world.runtime, kind, record)
	world.check()
	during({})
	for _ in range(2):  # the first may go on with an earlier fetch
		row = ran(world.runtime)
		if row["status"] == "Needs Approval":
			approve_deletions(world.runtime, row["name"])
		world.check()
	assert same(world.runtime)
