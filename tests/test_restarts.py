"""Lists that a source shows only the beginning of, and that begin again at the key of the last record."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.errors import ConnectorError, MalformedAnswer
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.stores.runtime import HubError
from integration_hub.sync.restarts import Restarts, restarting
from integration_hub.sync.run import run_stream
from tests.list_server import ids, stream_of, things

PAGED = 'pagination = "Page Number"\npage_size = 3\n'


class Refused(ConnectorError):
	"""A page that is too far."""

	def __init__(self) -> None:
		super().__init__(status=400)


class Source:
	"""A source in memory: rows in order of a key, of which a query shows `cap` at most, `size` a page."""

	def __init__(self, keys, cap: int, size: int, exclusive: bool, refuses: bool, falls: bool = False):
		self.rows = [{"id": number, "key": key} for number, key in enumerate(keys)]
		self.rows.sort(key=lambda row: row["key"], reverse=falls)
		self.cap, self.size, self.exclusive, self.refuses, self.falls = cap, size, exclusive, refuses, falls
		self.queries = 0

	def fits(self, key, start) -> bool:
		if start is None or (key == start and not self.exclusive):
			return True
		return key < start if self.falls else key > start

	def __call__(self, request: ListRequest):
		self.queries += not request.state
		assert self.queries < 200, "it does not end"
		start = request.values.get("last_key")
		found = [row for row in self.rows if self.fits(row["key"], start)]
		at = int(request.state or 0)
		while True:
			if at >= self.cap and self.refuses and at < len(found):
				raise Refused
			page = found[: self.cap][at : at + self.size]
			at += len(page)
			last = at >= len(found) or (at >= self.cap and not self.refuses)
			yield Page(page, str(at), last, 1)
			if last:
				return


def fetched(source: Source, rule: Restarts, stops: set[int] = frozenset()) -> list[int]:
	"""Return the ids that came; behind each page of `stops` the fetch is resumed by the page's state, as after a kill."""
	state, found, count = "", [], 0
	while True:
		for page in restarting(source, ListRequest("/x", state=state), rule):
			found += [row["id"] for row in page.records]
			state, count = page.state, count + 1
			if page.last:
				return found
			if count in stops:
				break
		else:
			raise AssertionError("it ended without a last page")


@given(
	st.lists(st.integers(0, 12), max_size=40),
	st.integers(2, 9),
	st.integers(1, 4),
	st.booleans(),
	st.booleans(),
	st.booleans(),
	st.sets(st.integers(1, 40), max_size=4),
)
def test_all_records_come_however_many_share_a_key_or_it_fails(
	keys, cap, size, exclusive, refuses, falls, stops
):
	source = Source(keys, cap, size, exclusive, refuses, falls)
	rule = Restarts("key", records=cap) if not refuses else Restarts("key", statuses=(400,))
	try:
		found = fetched(source, rule, stops)
	except MalformedAnswer as error:
		assert "does not move on" in str(error)
		most = max(keys.count(key) for key in keys)
		assert most >= cap - 1, "only where a key fills (nearly) all that is shown at a time"
		return
	assert set(found) == set(range(len(keys)))
	if not stops:
		assert len(found) == len(set(found)), "what is at the boundary comes once"


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 4), st.booleans(), st.booleans(), st.booleans())
def test_ids_lead_on_from_the_very_last(count, cap, size, exclusive, refuses, falls):
	if cap == 1 and not exclusive:
		return  # the same one again and again
	source = Source(range(count), cap, size, exclusive, refuses, falls)
	rule = Restarts("key", is_id=True, records=cap, statuses=(400,))
	assert sorted(fetched(source, rule)) == list(range(count))


@contextmanager
def of(tmp_path, answer, text, mode="Full"):
	with stream_of(tmp_path, answer, text, mode) as (source, runtime):
		yield source, runtime


def capped(rows, query, cap=5):
	first = (int(query["page"]) - 1) * 3
	return rows[:cap][first : first + 3] if first < cap else (422, {}, {"error": "too far"})


def test_a_list_begins_again_behind_the_last_id_by_a_status(tmp_path):
	rows = things(12)

	def answer(path, query):
		return capped([row for row in rows if row["id"] > int(query.get("since_id", 0))], query, 6)

	text = PAGED + 'restart_key = "id"\nrestart_param = "since_id"\nrestart_statuses = "400, 422"\n'
	with of(tmp_path, answer, text) as (source, runtime):
		row = run_stream(runtime, "things")
		assert (row["status"], row["error"], row["fetched"]) == ("Completed", None, 12)
		assert ids(runtime) == list(range(1, 13))
		assert sorted({query.get("since_id") for query in source.asked} - {None}, key=int) == ["6", "12"]
		del rows[7]
		assert run_stream(runtime, "things")["deleted"] == 1


def test_a_search_begins_again_at_the_time_of_the_last_record(tmp_path):
	rows = [{"id": n, "at": f"2026-05-01T00:0{n // 3}:00Z"} for n in range(12)]

	def answer(path, query):
		body = json.loads(source.sent[-1][3])
		found = [row for row in rows if row["at"] >= body["filter"].get("from", "")]
		return found[:5][body["offset"] : body["offset"] + 2]

	text = 'pagination = "Offset"\npage_size = 2\nmethod = "POST"\nbody_format = "JSON"\nupdated_at_path = "at"\n'
	text += """body = '{"filter": {"from": "{since:iso}"}, "offset": "{offset}", "limit": "{page_size}"}'\n"""
	text += 'restart_key = "at"\nrestart_after = 5\n'
	with of(tmp_path, answer, text, "Incremental") as (source, runtime):
		row = run_stream(runtime, "things")
		assert (row["status"], row["error"]) == ("Completed", None)
		assert ids(runtime) == list(range(12))
		rows += [{"id": n, "at": f"2026-05-01T01:0{n // 3 - 4}:00Z"} for n in range(12, 20)]
		run_stream(runtime, "things")
		assert ids(runtime) == list(range(20))


def test_more_records_with_one_key_than_come_at_a_time_fail_clearly(tmp_path):
	rows = [{"id": n, "at": "2026-05-01T00:00:00Z"} for n in range(9)]

	def answer(path, query):
		return capped([row for row in rows if row["at"] >= query.get("after", "")], query, 6)

	text = PAGED + 'restart_key = "at"\nparams = "after={last_key}"\nrestart_pages = 2\n'
	with of(tmp_path, answer, text) as (source, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and "restart_key at does not move on" in row["error"]
		assert len(source.asked) < 6


def test_a_list_in_no_order_fails_clearly(tmp_path):
	rows = [{"id": n} for n in (1, 2, 9, 3, 4, 5, 6, 7)]
	text = PAGED + 'restart_key = "id"\nrestart_param = "since_id"\nrestart_after = 6\n'
	with of(tmp_path, lambda path, query: capped(rows, query, 6), text) as (_source, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and "not in order of it; 3 follows 9" in row["error"]


def test_a_refusal_of_the_first_page_is_an_error(tmp_path):
	text = PAGED + 'restart_key = "id"\nrestart_param = "since_id"\nrestart_statuses = "422"\n'
	with of(tmp_path, lambda path, query: (422, {}, {}), text) as (_source, runtime):
		assert run_stream(runtime, "things")["status"] == "Failed"


@pytest.mark.parametrize(
	("text", "field"),
	[
		('restart_key = "id"\n', "restart_after"),
		("restart_after = 5\n", "restart_key"),
		('params = "x={last_key}"\n', "restart_key"),
		('restart_key = "id"\nrestart_after = 5\nchanged_since_param = ""\n', "restart_param"),
		('restart_key = "id["\nrestart_after = 5\n', "restart_key"),
		('restart_key = "id"\nrestart_statuses = "4xx"\n', "restart_statuses"),
		('restart_key = "id"\nrestart_after = -5\n', "restart_after"),
	],
)
def test_wrong_settings_are_refused_by_field(tmp_path, text, field):
	with pytest.raises(HubError) as refused, of(tmp_path, lambda path, query: [], PAGED + text):
		raise AssertionError("it was taken")
	assert refused.value.field == field
