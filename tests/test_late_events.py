"""What comes late changes nothing: events and pages of one record, in whatever order they arrive."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration_hub.connectors.redact import Redactor
from integration_hub.homes.file import FileHome
from integration_hub.sandbox import sender
from integration_hub.stores import inbox, marks
from integration_hub.stores.ids import first_id, new_id, utc_made_at
from integration_hub.sync.page import PageWriter
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


def store(home: FileHome, kind: str, data: dict) -> None:
	body = sender.make(f"customer.{kind}", data).body
	request = Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body)
	assert receive(home, request).status == 200


def told(home: FileHome, kind: str, data: dict) -> None:
	"""Have an event come and be handled."""
	store(home, kind, data)
	assert drain(home, "crm").completed == 1


class Walk:
	"""A run that begins now: its pages may be written later."""

	def __init__(self, home: FileHome, stream: str = STREAM):
		self.home = home
		self.writer = PageWriter(
			home, load_stream(home, stream), Redactor(), mark=begin(home, stream), operation="Sync"
		)

	def page(self, *records: dict, deleted: bool | None = None, again: bool = False) -> None:
		with self.home.db.transaction():
			self.writer.write(records, deleted=deleted, again=again)


def city(home: FileHome) -> str:
	"""Return the city of the one customer, "" if there is none."""
	rows = table(home, "full")
	assert len(rows) < 2
	return rows[0]["city"] if rows else ""


def binding(home: FileHome) -> dict:
	return home.db.query("SELECT * FROM `tabExternal Record` WHERE `stream` = %s", [STREAM])[0]


def now(seconds: float = 0) -> str:
	return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def test_an_event_that_is_older_than_an_unchanged_one_comes_too_late(home):
	told(home, "updated", record("paid", "01"))
	told(home, "updated", record("paid", "03"))  # it was pending in between
	told(home, "updated", record("pending", "02"))
	assert city(home) == "paid"
	assert binding(home)["source_time"] == "2026-01-01T00:00:03.000000Z"


def test_an_event_that_is_older_than_an_unchanged_page_comes_too_late(home):
	Walk(home).page(record("paid", "01"))
	Walk(home).page(record("paid", "03"))
	told(home, "updated", record("pending", "02"))
	assert city(home) == "paid"


def test_a_page_that_was_fetched_before_an_unchanged_event_comes_too_late(home):
	told(home, "updated", record("paid", "01"))
	walk = Walk(home)
	told(home, "updated", record("paid", "03"))
	walk.page(record("pending", "02"))
	assert city(home) == "paid"


def test_a_second_pass_does_not_bring_back_what_the_first_has_overtaken(home):
	walk = Walk(home)
	walk.page(record("paid", "03"))
	walk.page(record("pending", "02"), again=True)
	assert city(home) == "paid"
	walk.page(record("shipped", "04"), again=True)
	assert city(home) == "shipped"


def test_a_list_that_is_behind_an_event_does_not_undo_it(home):
	told(home, "updated", record("paid", "03"))
	Walk(home).page(record("pending", "02"))
	assert city(home) == "paid"

	for _ in range(2):  # runs go on, and the list stays behind
		Walk(home).page(record("pending", "02"))
		Walk(home).page(record("paid", "01"))
	assert city(home) == "paid"
	Walk(home).page(record("shipped", "04"))
	assert city(home) == "shipped"


def test_what_a_list_is_behind_of_is_not_taken_for_gone(home, crm):
	told(
		home, "updated", {**crm.customers.alive()[0], "city": "Newtown", "updated_at": "2026-06-01T00:00:00Z"}
	)
	assert run_stream(home, STREAM)["deleted"] == 0
	assert table(home, "full")[0]["city"] == "Newtown"


def test_a_source_that_was_set_back_is_believed(home):
	Walk(home).page(record("paid", "05"))
	Walk(home).page(record("paid", "03"))
	told(home, "updated", record("shipped", "04"))
	assert city(home) == "shipped", "the list has said that it was set back"
	home.db.execute("UPDATE `tabExternal Record` SET `last_seen` = %s", [first_id(0)])
	Walk(home).page(record("pending", "02"))
	assert city(home) == "pending", "a list says what there is now"

	told(home, "updated", record("paid", "05"))
	event = first_id(time.time() - 2 * 3600) + "0" * 10
	home.db.execute("UPDATE `tabExternal Record` SET `last_seen` = %s", [marks.event_mark(event, 0).by])
	Walk(home).page(record("pending", "04"))
	assert city(home) == "pending", "for longer than an hour no list is behind"


def test_a_late_event_that_cannot_be_mapped_is_no_failure_and_changes_nothing(home):
	told(home, "updated", record("paid", "03"))
	told(home, "updated", record("pending", "02", credit_limit="a lot"))
	assert city(home) == "paid" and binding(home)["status"] == "Bound"


def test_a_late_page_that_cannot_be_mapped_is_not_tried_again(home):
	walk = Walk(home)
	told(home, "updated", record("paid", "03"))
	walk.page(record("pending", "02", credit_limit="a lot"))
	assert binding(home)["status"] == "Bound"


def test_what_could_not_be_written_keeps_older_events_out(home):
	walk = Walk(home)
	walk.page(record("paid", "01"))
	walk.page(record("shipped", "03", credit_limit="a lot"))
	told(home, "updated", record("pending", "02"))
	assert (city(home), binding(home)["status"]) == ("paid", "Failed")
	told(home, "updated", record("shipped", "03"))
	assert (city(home), binding(home)["status"]) == ("shipped", "Bound")


def test_an_older_event_replayed_changes_nothing(home):
	told(home, "updated", record("pending", "02"))
	[event] = inbox.select(home, integration="crm")
	told(home, "updated", record("paid", "03"))
	inbox.requeue(home, [event])
	assert drain(home, "crm").completed == 1
	assert city(home) == "paid"


def test_of_two_versions_in_a_page_the_later_one_counts(home):
	Walk(home).page(record("paid", "03"), record("pending", "02"))
	assert city(home) == "paid"
	Walk(home, "customers-cursor").page(
		*(
			{"id": "CUST-9", "type": "updated", "record": record(c, at)}
			for c, at in (("paid", "03"), ("pending", "02"))
		)
	)
	assert [row["city"] for row in table(home, "cursor")] == ["pending"], "a feed tells things in their order"


versions = st.integers(2, 5)
OPS = st.lists(
	st.tuples(st.sampled_from(["advance", "event", "fetch", "write", "again"]), st.integers(0, 9)),
	max_size=25,
)


@settings(max_examples=60)
@given(versions, OPS, st.permutations(range(5)), st.booleans())
def test_any_order_of_events_and_pages_ends_at_the_newest(make_home, count, ops, last, same_city):
	"""Pages hold what the source had when they were fetched; events come in any order, and more than once."""
	home = make_home()
	home.db.execute("DELETE FROM `tabSandbox Customer`")
	home.db.execute("DELETE FROM `tabExternal Record`")
	home.db.execute("DELETE FROM `tabWebhook Log`")
	# The same content comes again later: paid, pending, paid.
	states = [
		record("paid" if n % 2 else "pending" if same_city else f"c{n}", f"{n:02}") for n in range(count)
	]
	current, walk, pages = 0, Walk(home), []
	for op, number in ops:
		if op == "advance":
			current = min(current + 1, count - 1)
		elif op == "event":
			told(home, "updated", {**states[number % (current + 1)], "n": number})
		elif op == "fetch":
			if pages:
				continue  # two runs of a stream never overlap
			walk = Walk(home)
			pages = [states[current]]
		elif pages:
			walk.page(pages[0], again=op == "again")
			pages = [] if op == "write" else [states[current]]
	for page in pages:
		walk.page(page)
	for number in last:
		if number < count:
			told(home, "updated", {**states[number], "n": f"last {number}"})
	assert city(home) == states[-1]["city"]
	assert binding(home)["source_time"].startswith(f"2026-01-01T00:00:{count - 1:02}")


LIVES = st.lists(st.sampled_from(["paid", "pending", None]), min_size=1, max_size=5)  # None: deleted


@settings(max_examples=60)
@given(LIVES, st.data())
def test_any_order_of_dated_updates_and_deletions_ends_at_the_newest(make_home, life, data):
	home = make_home()
	home.db.execute("DELETE FROM `tabSandbox Customer`")
	home.db.execute("DELETE FROM `tabExternal Record`")
	home.db.execute("DELETE FROM `tabWebhook Log`")
	for number in data.draw(st.permutations(range(len(life)))):
		kind = "updated" if life[number] else "deleted"
		told(home, kind, record(life[number] or "gone", f"{number:02}", n=number))
	assert city(home) == (life[-1] or "")


# Deletions


def test_an_undated_deletion_counts_as_of_its_receipt(home):
	told(home, "created", record("paid", "01"))
	told(home, "deleted", {"id": RECORD["id"]})
	told(home, "updated", record("pending", "02"))
	assert city(home) == "", "it was changed, then deleted, and the change comes late"
	told(home, "created", record("back", now(2)))
	assert city(home) == "back"


def test_an_undated_deletion_that_comes_first_holds(home):
	told(home, "deleted", {"id": RECORD["id"]})
	told(home, "created", record("paid", "01"))
	assert city(home) == ""
	told(home, "created", record("back", now(2)))
	assert city(home) == "back"


def test_an_undated_deletion_is_as_old_as_its_receipt_when_it_is_replayed(home):
	told(home, "created", record("paid", "01"))
	told(home, "deleted", {"id": RECORD["id"]})
	told(home, "created", record("back", now(1)))
	[event] = home.db.query("SELECT `name` FROM `tabWebhook Log` WHERE `event_type` = 'customer.deleted'")
	inbox.requeue(home, [event["name"]])
	assert drain(home, "crm").completed == 1
	assert city(home) == "back"


def test_a_source_whose_clock_is_ahead_has_its_deletions_done(home):
	told(home, "created", record("paid", now(3600)))
	store(home, "updated", record("changed", now(3601)))
	store(home, "deleted", {"id": RECORD["id"]})
	assert drain(home, "crm").completed == 2
	assert city(home) == ""
	told(home, "updated", record("late", now(3600)))
	assert city(home) == ""


def test_undated_events_keep_to_the_order_they_came_in(home):
	"""The update fails at first, and is tried again behind the deletion that came after it."""
	told(home, "created", record("paid"))
	store(home, "updated", record("changed"))
	first = home.db.query("SELECT `name` FROM `tabWebhook Log` WHERE `status` = 'Queued'")[0]["name"]
	home.db.execute("UPDATE `tabWebhook Log` SET `status` = 'Dead' WHERE `name` = %s", [first])
	told(home, "deleted", {"id": RECORD["id"]})
	inbox.requeue(home, [first])
	drain(home, "crm")
	assert city(home) == ""
	told(home, "created", record("back"))
	assert city(home) == "back"


def test_a_page_fetched_before_an_undated_deletion_does_not_bring_an_undated_record_back(home):
	told(home, "created", record("paid"))
	walk = Walk(home)
	told(home, "deleted", {"id": RECORD["id"]})
	for _ in range(2):  # a second look at the list
		walk.page(record("paid"), again=True)
	assert city(home) == ""
	Walk(home).page(record("paid"))
	assert city(home) == "paid", "a list that was asked for later says what there is"


def test_what_a_list_marks_as_deleted_without_a_time_does_not_come_back_late(home):
	Walk(home).page(record("paid", "01"))
	Walk(home).page({"id": RECORD["id"]}, deleted=True)
	told(home, "updated", record("late", "02"))
	assert city(home) == ""
	dated = binding(home)["source_time"]
	Walk(home).page({"id": RECORD["id"]}, deleted=True)
	assert binding(home)["source_time"] == dated, "it is not deleted once more"
	told(home, "created", record("back", now(2)))
	assert city(home) == "back"


def test_an_undated_tombstone_and_the_record_itself_in_one_walk(home):
	Walk(home).page(record("paid", "01"))
	walk = Walk(home)
	walk.page({"id": RECORD["id"]}, deleted=True)
	walk.page(record("made again", "02"))
	assert city(home) == "made again"


def test_what_a_full_run_found_gone_does_not_come_back_late(home, crm):
	gone = crm.customers.alive()[3]
	run_stream(home, STREAM)
	changed = {**gone, "city": "Late", "updated_at": now()}
	del crm.customers._rows[gone["id"]]
	run_stream(home, STREAM)
	told(home, "updated", changed)
	assert changed["id"] not in {r["customer_id"] for r in table(home, "full")}
	told(home, "created", {**changed, "updated_at": now(2)})
	assert changed["id"] in {r["customer_id"] for r in table(home, "full")}


def test_a_late_dated_deletion_leaves_what_was_made_since(home):
	told(home, "created", record("paid", "01"))
	told(home, "created", record("made again", "05"))
	told(home, "deleted", record("paid", "03"))
	assert city(home) == "made again"
	told(home, "deleted", record("made again", "06"))
	assert city(home) == ""


@pytest.mark.parametrize("order", list(itertools.permutations(["created", "updated", "deleted"])))
def test_a_life_in_any_order_ends_deleted(home, order):
	lives = {
		"created": record("paid", "01"),
		"updated": record("changed", "02"),
		"deleted": {"id": RECORD["id"]},
	}
	for kind in order:
		told(home, kind, lives[kind])
	assert city(home) == ""


# Who wrote it


def test_a_record_that_failed_first_names_who_wrote_it(home, crm):
	crm.customers._rows["CUST-000003"]["credit_limit"] = "a lot"

	def written() -> dict:
		where = "`stream` = 'customers-full' AND `external_id` = 'CUST-000003'"
		return home.db.query(f"SELECT * FROM `tabExternal Record` WHERE {where}")[0]

	run_stream(home, STREAM)
	assert (written()["status"], written()["made_by"]) == ("Failed", None)
	crm.customers.set("CUST-000003", credit_limit=5)
	second = run_stream(home, STREAM)["name"]
	assert (written()["status"], written()["made_by"], written()["changed_by"]) == ("Bound", second, second)
	crm.customers.set("CUST-000003", credit_limit="a lot again")
	third = run_stream(home, STREAM)["name"]
	assert (written()["status"], written()["made_by"], written()["changed_by"]) == ("Failed", second, third)
	told(home, "updated", crm.customers.set("CUST-000003", credit_limit=6))
	[event] = home.db.query("SELECT `name` FROM `tabWebhook Log`")
	assert (written()["made_by"], written()["changed_by"]) == (second, event["name"])


def test_who_has_seen_a_record_last_fits_its_column_and_says_when_it_was_received():
	event = new_id()
	seen = marks.event_mark(event, 1).by
	assert len(seen) == len(event) and marks.is_event(seen) and not marks.is_event(event)
	at = marks.received(seen)
	assert at[:19] in (utc_made_at(event)[:19], now()[:19])
	old = first_id(time.time() - 86400) + "0" * 10
	at = marks.received(marks.event_mark(old, 1).by)
	assert abs(datetime.fromisoformat(at[:-1]) - datetime.fromisoformat(utc_made_at(old)[:-1])) < timedelta(
		seconds=1
	)
	for name in (first_id(0) + "0" * 10, "of another kind"):
		assert len(marks.event_mark(name, 1).by) == 24
	assert marks.received("") == ""
