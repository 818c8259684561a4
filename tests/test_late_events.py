"""What comes late changes nothing: events and pages of one record, in whatever order they arrive."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration_hub.connectors.redact import Redactor
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox import sender
from integration_hub.stores import inbox, seen_marks
from integration_hub.stores.ids import first_id, new_id, utc_made_at
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.run import load_stream, run_stream
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from tests.compare import table
from tests.marking import begin

RECORD = {"id": "CUST-9", "name": "Nine", "email": "", "city": "paid", "credit_limit": 1, "active": True}
STREAM = "customers-full"


def record(city: str, at: str | None = "", **others) -> dict:
	"""Return a record as it was at a time of January 2026, a second, or undated."""
	dated = {"updated_at": at if at.startswith("2") else f"2026-01-01T00:00:{at}Z"} if at else {}
	return {**RECORD, "city": city, **dated, **others}


def store(runtime: StandaloneRuntime, kind: str, data: dict) -> None:
	body = sender.make(f"customer.{kind}", data).body
	request = Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body)
	assert receive(runtime, request).status == 200


def told(runtime: StandaloneRuntime, kind: str, data: dict) -> None:
	"""Have an event come and be handled."""
	store(runtime, kind, data)
	assert drain(runtime, "crm").completed == 1


class Fetch:
	"""A run that begins now: its pages may be written later."""

	def __init__(self, runtime: StandaloneRuntime, stream: str = STREAM):
		self.runtime = runtime
		self.writer = PageWriter(
			runtime, load_stream(runtime, stream), Redactor(), mark=begin(runtime, stream), operation="Sync"
		)

	def page(self, *records: dict, deleted: bool | None = None, again: bool = False) -> None:
		with self.runtime.db.transaction():
			self.writer.write(records, deleted=deleted, again=again)


def city(runtime: StandaloneRuntime) -> str:
	"""Return the city of the one customer, "" if there is none."""
	rows = table(runtime, "full")
	assert len(rows) < 2
	return rows[0]["city"] if rows else ""


def binding(runtime: StandaloneRuntime) -> dict:
	return runtime.db.query("SELECT * FROM `tabExternal Record` WHERE `stream` = %s", [STREAM])[0]


def now(seconds: float = 0) -> str:
	return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def test_an_event_that_is_older_than_an_unchanged_one_comes_too_late(runtime):
	told(runtime, "updated", record("paid", "01"))
	told(runtime, "updated", record("paid", "03"))  # it was pending in between
	told(runtime, "updated", record("pending", "02"))
	assert city(runtime) == "paid"
	assert binding(runtime)["source_time"] == "2026-01-01T00:00:03.000000Z"


def test_an_event_that_is_older_than_an_unchanged_page_comes_too_late(runtime):
	Fetch(runtime).page(record("paid", "01"))
	Fetch(runtime).page(record("paid", "03"))
	told(runtime, "updated", record("pending", "02"))
	assert city(runtime) == "paid"


def test_a_page_that_was_fetched_before_an_unchanged_event_comes_too_late(runtime):
	told(runtime, "updated", record("paid", "01"))
	fetch = Fetch(runtime)
	told(runtime, "updated", record("paid", "03"))
	fetch.page(record("pending", "02"))
	assert city(runtime) == "paid"


def test_a_second_pass_does_not_bring_back_what_the_first_has_overtaken(runtime):
	fetch = Fetch(runtime)
	fetch.page(record("paid", "03"))
	fetch.page(record("pending", "02"), again=True)
	assert city(runtime) == "paid"
	fetch.page(record("shipped", "04"), again=True)
	assert city(runtime) == "shipped"


def test_a_list_that_is_behind_an_event_does_not_undo_it(runtime):
	told(runtime, "updated", record("paid", "03"))
	Fetch(runtime).page(record("pending", "02"))
	assert city(runtime) == "paid"

	for _ in range(2):  # runs go on, and the list stays behind
		Fetch(runtime).page(record("pending", "02"))
		Fetch(runtime).page(record("paid", "01"))
	assert city(runtime) == "paid"
	Fetch(runtime).page(record("shipped", "04"))
	assert city(runtime) == "shipped"


def test_what_a_list_is_behind_of_is_not_taken_for_gone(runtime, crm):
	told(
		runtime,
		"updated",
		{**crm.customers.alive()[0], "city": "Newtown", "updated_at": "2026-06-01T00:00:00Z"},
	)
	assert run_stream(runtime, STREAM)["deleted"] == 0
	assert table(runtime, "full")[0]["city"] == "Newtown"


def test_a_source_that_was_set_back_is_believed(runtime):
	Fetch(runtime).page(record("paid", "05"))
	Fetch(runtime).page(record("paid", "03"))
	told(runtime, "updated", record("shipped", "04"))
	assert city(runtime) == "shipped", "the list has said that it was set back"
	runtime.db.execute("UPDATE `tabExternal Record` SET `last_seen` = %s", [first_id(0)])
	Fetch(runtime).page(record("pending", "02"))
	assert city(runtime) == "pending", "a list says what there is now"

	told(runtime, "updated", record("paid", "05"))
	event = first_id(time.time() - 2 * 3600) + "0" * 10
	runtime.db.execute(
		"UPDATE `tabExternal Record` SET `last_seen` = %s", [seen_marks.event_mark(event, 0).by]
	)
	Fetch(runtime).page(record("pending", "04"))
	assert city(runtime) == "pending", "for longer than an hour no list is behind"


def test_a_late_event_that_cannot_be_mapped_is_no_failure_and_changes_nothing(runtime):
	told(runtime, "updated", record("paid", "03"))
	told(runtime, "updated", record("pending", "02", credit_limit="a lot"))
	assert city(runtime) == "paid" and binding(runtime)["status"] == "Bound"


def test_a_late_page_that_cannot_be_mapped_is_not_tried_again(runtime):
	fetch = Fetch(runtime)
	told(runtime, "updated", record("paid", "03"))
	fetch.page(record("pending", "02", credit_limit="a lot"))
	assert binding(runtime)["status"] == "Bound"


def test_what_could_not_be_written_keeps_older_events_out(runtime):
	fetch = Fetch(runtime)
	fetch.page(record("paid", "01"))
	fetch.page(record("shipped", "03", credit_limit="a lot"))
	told(runtime, "updated", record("pending", "02"))
	assert (city(runtime), binding(runtime)["status"]) == ("paid", "Failed")
	told(runtime, "updated", record("shipped", "03"))
	assert (city(runtime), binding(runtime)["status"]) == ("shipped", "Bound")


def test_an_older_event_replayed_changes_nothing(runtime):
	told(runtime, "updated", record("pending", "02"))
	[event] = inbox.select(runtime, integration="crm")
	told(runtime, "updated", record("paid", "03"))
	inbox.requeue(runtime, [event])
	assert drain(runtime, "crm").completed == 1
	assert city(runtime) == "paid"


def test_of_two_versions_in_a_page_the_later_one_counts(runtime):
	Fetch(runtime).page(record("paid", "03"), record("pending", "02"))
	assert city(runtime) == "paid"
	Fetch(runtime, "customers-cursor").page(
		*(
			{"id": "CUST-9", "type": "updated", "record": record(c, at)}
			for c, at in (("paid", "03"), ("pending", "02"))
		)
	)
	assert [row["city"] for row in table(runtime, "cursor")] == ["pending"], (
		"a feed tells things in their order"
	)


versions = st.integers(2, 5)
OPS = st.lists(
	st.tuples(st.sampled_from(["advance", "event", "fetch", "write", "again"]), st.integers(0, 9)),
	max_size=25,
)


@settings(max_examples=60)
@given(versions, OPS, st.permutations(range(5)), st.booleans())
def test_any_order_of_events_and_pages_ends_at_the_newest(make_runtime, count, ops, last, same_city):
	"""Pages hold what the source had when they were fetched; events come in any order, and more than once."""
	runtime = make_runtime()
	runtime.db.execute("DELETE FROM `tabSandbox Customer`")
	runtime.db.execute("DELETE FROM `tabExternal Record`")
	runtime.db.execute("DELETE FROM `tabWebhook Log`")
	# The same content comes again later: paid, pending, paid.
	states = [
		record("paid" if n % 2 else "pending" if same_city else f"c{n}", f"{n:02}") for n in range(count)
	]
	current, fetch, pages = 0, Fetch(runtime), []
	for op, number in ops:
		if op == "advance":
			current = min(current + 1, count - 1)
		elif op == "event":
			told(runtime, "updated", {**states[number % (current + 1)], "n": number})
		elif op == "fetch":
			if pages:
				continue  # two runs of a stream never overlap
			fetch = Fetch(runtime)
			pages = [states[current]]
		elif pages:
			fetch.page(pages[0], again=op == "again")
			pages = [] if op == "write" else [states[current]]
	for page in pages:
		fetch.page(page)
	for number in last:
		if number < count:
			told(runtime, "updated", {**states[number], "n": f"last {number}"})
	assert city(runtime) == states[-1]["city"]
	assert binding(runtime)["source_time"].startswith(f"2026-01-01T00:00:{count - 1:02}")


LIVES = st.lists(st.sampled_from(["paid", "pending", None]), min_size=1, max_size=5)  # None: deleted


@settings(max_examples=60)
@given(LIVES, st.data())
def test_any_order_of_dated_updates_and_deletions_ends_at_the_newest(make_runtime, life, data):
	runtime = make_runtime()
	runtime.db.execute("DELETE FROM `tabSandbox Customer`")
	runtime.db.execute("DELETE FROM `tabExternal Record`")
	runtime.db.execute("DELETE FROM `tabWebhook Log`")
	for number in data.draw(st.permutations(range(len(life)))):
		kind = "updated" if life[number] else "deleted"
		told(runtime, kind, record(life[number] or "gone", f"{number:02}", n=number))
	assert city(runtime) == (life[-1] or "")


# Deletions


def test_an_undated_deletion_counts_as_of_its_receipt(runtime):
	told(runtime, "created", record("paid", "01"))
	told(runtime, "deleted", {"id": RECORD["id"]})
	told(runtime, "updated", record("pending", "02"))
	assert city(runtime) == "", "it was changed, then deleted, and the change comes late"
	told(runtime, "created", record("back", now(2)))
	assert city(runtime) == "back"


def test_an_undated_deletion_that_comes_first_holds(runtime):
	told(runtime, "deleted", {"id": RECORD["id"]})
	told(runtime, "created", record("paid", "01"))
	assert city(runtime) == ""
	told(runtime, "created", record("back", now(2)))
	assert city(runtime) == "back"


def test_an_undated_deletion_is_as_old_as_its_receipt_when_it_is_replayed(runtime):
	told(runtime, "created", record("paid", "01"))
	told(runtime, "deleted", {"id": RECORD["id"]})
	told(runtime, "created", record("back", now(1)))
	[event] = runtime.db.query("SELECT `name` FROM `tabWebhook Log` WHERE `event_type` = 'customer.deleted'")
	inbox.requeue(runtime, [event["name"]])
	assert drain(runtime, "crm").completed == 1
	assert city(runtime) == "back"


def test_a_source_whose_clock_is_ahead_has_its_deletions_done(runtime):
	told(runtime, "created", record("paid", now(3600)))
	store(runtime, "updated", record("changed", now(3601)))
	store(runtime, "deleted", {"id": RECORD["id"]})
	assert drain(runtime, "crm").completed == 2
	assert city(runtime) == ""
	told(runtime, "updated", record("late", now(3600)))
	assert city(runtime) == ""


def test_undated_events_keep_to_the_order_they_came_in(runtime):
	"""The update fails at first, and is tried again behind the deletion that came after it."""
	told(runtime, "created", record("paid"))
	store(runtime, "updated", record("changed"))
	first = runtime.db.query("SELECT `name` FROM `tabWebhook Log` WHERE `status` = 'Queued'")[0]["name"]
	runtime.db.execute("UPDATE `tabWebhook Log` SET `status` = 'Dead' WHERE `name` = %s", [first])
	told(runtime, "deleted", {"id": RECORD["id"]})
	inbox.requeue(runtime, [first])
	drain(runtime, "crm")
	assert city(runtime) == ""
	told(runtime, "created", record("back"))
	assert city(runtime) == "back"


def test_a_page_fetched_before_an_undated_deletion_does_not_bring_an_undated_record_back(runtime):
	told(runtime, "created", record("paid"))
	fetch = Fetch(runtime)
	told(runtime, "deleted", {"id": RECORD["id"]})
	for _ in range(2):  # a second pass at the list
		fetch.page(record("paid"), again=True)
	assert city(runtime) == ""
	Fetch(runtime).page(record("paid"))
	assert city(runtime) == "paid", "a list that was asked for later says what there is"


def test_what_a_list_marks_as_deleted_without_a_time_does_not_come_back_late(runtime):
	Fetch(runtime).page(record("paid", "01"))
	Fetch(runtime).page({"id": RECORD["id"]}, deleted=True)
	told(runtime, "updated", record("late", "02"))
	assert city(runtime) == ""
	dated = binding(runtime)["source_time"]
	Fetch(runtime).page({"id": RECORD["id"]}, deleted=True)
	assert binding(runtime)["source_time"] == dated, "it is not deleted once more"
	told(runtime, "created", record("back", now(2)))
	assert city(runtime) == "back"


def test_an_undated_tombstone_and_the_record_itself_in_one_walk(runtime):
	Fetch(runtime).page(record("paid", "01"))
	fetch = Fetch(runtime)
	fetch.page({"id": RECORD["id"]}, deleted=True)
	fetch.page(record("made again", "02"))
	assert city(runtime) == "made again"


def test_what_a_full_run_found_gone_does_not_come_back_late(runtime, crm):
	gone = crm.customers.alive()[3]
	run_stream(runtime, STREAM)
	changed = {**gone, "city": "Late", "updated_at": now()}
	del crm.customers._rows[gone["id"]]
	run_stream(runtime, STREAM)
	told(runtime, "updated", changed)
	assert changed["id"] not in {r["customer_id"] for r in table(runtime, "full")}
	told(runtime, "created", {**changed, "updated_at": now(2)})
	assert changed["id"] in {r["customer_id"] for r in table(runtime, "full")}


def test_a_late_dated_deletion_leaves_what_was_made_since(runtime):
	told(runtime, "created", record("paid", "01"))
	told(runtime, "created", record("made again", "05"))
	told(runtime, "deleted", record("paid", "03"))
	assert city(runtime) == "made again"
	told(runtime, "deleted", record("made again", "06"))
	assert city(runtime) == ""


@pytest.mark.parametrize("order", list(itertools.permutations(["created", "updated", "deleted"])))
def test_a_life_in_any_order_ends_deleted(runtime, order):
	lives = {
		"created": record("paid", "01"),
		"updated": record("changed", "02"),
		"deleted": {"id": RECORD["id"]},
	}
	for kind in order:
		told(runtime, kind, lives[kind])
	assert city(runtime) == ""


# Who wrote it


def test_a_record_that_failed_first_names_who_wrote_it(runtime, crm):
	crm.customers._rows["CUST-000003"]["credit_limit"] = "a lot"

	def written() -> dict:
		where = "`stream` = 'customers-full' AND `external_id` = 'CUST-000003'"
		return runtime.db.query(f"SELECT * FROM `tabExternal Record` WHERE {where}")[0]

	run_stream(runtime, STREAM)
	assert (written()["status"], written()["made_by"]) == ("Failed", None)
	crm.customers.set("CUST-000003", credit_limit=5)
	second = run_stream(runtime, STREAM)["name"]
	assert (written()["status"], written()["made_by"], written()["changed_by"]) == ("Bound", second, second)
	crm.customers.set("CUST-000003", credit_limit="a lot again")
	third = run_stream(runtime, STREAM)["name"]
	assert (written()["status"], written()["made_by"], written()["changed_by"]) == ("Failed", second, third)
	told(runtime, "updated", crm.customers.set("CUST-000003", credit_limit=6))
	[event] = runtime.db.query("SELECT `name` FROM `tabWebhook Log`")
	assert (written()["made_by"], written()["changed_by"]) == (second, event["name"])


def test_who_has_seen_a_record_last_fits_its_column_and_says_when_it_was_received():
	event = new_id()
	seen = seen_marks.event_mark(event, 1).by
	assert len(seen) == len(event) and seen_marks.is_event(seen) and not seen_marks.is_event(event)
	at = seen_marks.received(seen)
	assert at[:19] in (utc_made_at(event)[:19], now()[:19])
	old = first_id(time.time() - 86400) + "0" * 10
	at = seen_marks.received(seen_marks.event_mark(old, 1).by)
	assert abs(datetime.fromisoformat(at[:-1]) - datetime.fromisoformat(utc_made_at(old)[:-1])) < timedelta(
		seconds=1
	)
	for name in (first_id(0) + "0" * 10, "of another kind"):
		assert len(seen_marks.event_mark(name, 1).by) == 24
	assert seen_marks.received("") == ""
