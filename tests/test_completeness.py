"""What a fetch proves of a list: nothing that lives in the source is removed, whatever the source says, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_hub.connectors import completeness_signs
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.completeness_signs import read_signs
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.connectors.redact import Redactor
from integration_hub.stores.database import in_transaction
from integration_hub.stores.ids import new_id
from integration_hub.stores.runtime import HubError
from integration_hub.stores.seen_marks import event_mark
from integration_hub.sync.dry_runs import dry_run
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.run import load_stream, run_stream
from tests.list_server import ids, stream_of, things

KINDS = ("None", "Page Number", "Offset", "Cursor", "Next Link", "Link Header")
PAGED = 'records_path = "data"\npage_size = {size}\npagination = "{kind}"\n'


def paged(kind: str = "Page Number", size: int = 3, more: str = "") -> str:
	return PAGED.format(kind=kind, size=size) + more


class Turns:
	"""A source that is complete first, and then what the test makes of it."""

	def __init__(self, first):
		self.now = first

	def __call__(self, path, query):
		return self.now(path, query)


def by_page(pages: list[list[dict]], **envelope):
	"""Return what answers `pages` by number, and nothing behind them."""

	def answer(path, query):
		number = int(query.get("page", 1))
		return {"data": pages[number - 1] if number <= len(pages) else [], **envelope}

	return answer


def always(body):
	"""Return what answers the same, whatever is asked for."""
	return lambda path, query: body


def everything(path, query):
	"""Return the whole list of eight at once, in whatever way it is asked for."""
	first = int(query.get("page", 1)) == 1 and query.get("offset", "0") == "0" and not query.get("cursor")
	return {"data": things(8) if first else [], "has_more": False, "next": None, "next_cursor": None}


def load(tmp_path: Path, then, config: str, mode: str = "Full", first=everything):
	"""Load a list whole, then run again against what `then` answers; return ids, the run's row and the source."""
	source = Turns(first)
	with stream_of(tmp_path, source, config, mode) as (server, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Completed", row["error"]
		before = ids(runtime)
		source.now = then
		server.asked.clear()
		row = run_stream(runtime, "things")
		return before, ids(runtime), row, server


def nothing_is_lost(found, *words: str) -> dict:
	before, after, row, _ = found
	assert after == before
	assert row["deleted"] == row["to_delete"] == 0
	assert row["error"] and all(word in row["error"] for word in words), row["error"]
	return row


# 1: an empty page in the middle


def test_an_empty_page_ends_nothing_where_has_more_says_that_more_waits(tmp_path):
	pages = [things(3), [], things(3, 6)]

	def answer(path, query):
		number = int(query["page"])
		return {"data": pages[number - 1], "has_more": number < 3}

	first = by_page([things(3), things(2, 4), things(3, 6)], has_more=None)

	def whole(path, query):
		return {**first(path, query), "has_more": int(query["page"]) < 3}

	before, after, row, _ = load(tmp_path, answer, paged(more='more_path = "has_more"'), first=whole)
	assert before == list(range(1, 9))
	assert after == [1, 2, 3, 6, 7, 8], "what is gone is removed, and nothing else"
	assert (row["status"], row["error"]) == ("Completed", None)


def test_an_offset_steps_over_an_empty_page_by_the_page_size(tmp_path):
	rows = {0: things(2), 2: [], 4: things(2, 5), 6: things(2, 7)}

	def answer(path, query):
		offset = int(query["offset"])
		return {"data": rows[offset], "has_more": "true" if offset < 6 else "false"}

	config = paged("Offset", 2, 'more_path = "has_more"\nstable_pages = true')
	first = always({"data": things(8), "has_more": 0})
	_, after, row, server = load(tmp_path, answer, config, first=first)
	assert [query["offset"] for query in server.asked] == ["0", "2", "4", "6"]
	assert after == [1, 2, 5, 6, 7, 8] and row["error"] is None


@pytest.mark.parametrize("word", ["false", "0", "False", "no", "", 0, None, False, [], {}])
def test_has_more_says_no_in_many_words(tmp_path, word):
	answer = always({"data": things(2), "has_more": word})
	_, after, row, server = load(tmp_path, answer, paged(more='more_path = "has_more"\nstable_pages = true'))
	assert after == [1, 2] and len(server.asked) == 1 and row["error"] is None


@pytest.mark.parametrize(
	("envelope", "sign"),
	[
		({"has_more": True}, "has_more"),
		({"total": 8}, "8 records (total)"),
		({"meta": {"pagination": {"total_pages": 4}}}, "meta.pagination.total_pages"),
		({"next": "/things?page=3"}, "next"),
	],
)
def test_an_empty_page_proves_no_end_where_something_else_says_that_more_waits(tmp_path, envelope, sign):
	nothing_is_lost(load(tmp_path, by_page([things(3)], **envelope), paged()), sign)


# 2: filters


@pytest.mark.parametrize(
	"path",
	[
		"[?active == `1`]",
		"data[?active]",
		"data[*]",
		"data[*].node",
		"data[0:50]",
		"data[]",
		"data.*",
		"data | [0]",
		"data[*].x | [0]",
		"map(&node, data[?active])",
		"reverse(data[?active])",
		"to_array(data[0])",
		"[data[0]]",
		"data[?a] || data",
		"max_by(data, &id)",
		"data[?a].b",
		"not_null(data[?x], data)",
	],
)
def test_what_drops_elements_of_the_list_is_refused_and_says_what_to_write(tmp_path, path):
	with (
		pytest.raises(HubError, match="records_path") as caught,
		stream_of(tmp_path, everything, f"records_path = '{path}'"),
	):
		pass
	assert "Record Filter" in str(caught.value)


@pytest.mark.parametrize(
	"path",
	[
		"data",
		"a.b.c",
		"[1]",
		"result[0].items",
		"values(pages)",
		"map(&node, edges)",
		"map(&{id: id, tags: tags[?main].name}, data)",
		"reverse(data)",
		"sort_by(data, &id)",
		"data || items",
		'"@odata".value',
		"to_array(data)",
		"",
	],
)
def test_what_keeps_all_elements_is_taken(tmp_path, path):
	with stream_of(tmp_path, everything, f"records_path = '{path}'"):
		pass


def active(count: int, first: int = 1, on: bool = True) -> list[dict]:
	return [{**thing, "active": int(on)} for thing in things(count, first)]


def test_a_record_filter_chooses_and_the_end_is_judged_by_what_was_sent(tmp_path):
	first = by_page([active(3), active(3, 4)])
	then = by_page([active(3), active(3, 4, on=False), active(2, 7)])
	config = paged(more="record_filter = 'active == `1`'")
	before, after, row, server = load(tmp_path, then, config, first=first)
	assert before == [1, 2, 3, 4, 5, 6]
	assert after == [1, 2, 3, 7, 8], "what no longer passes is not in the stream"
	assert (row["status"], row["fetched"], row["error"]) == ("Completed", 5, None)


def test_a_filter_that_nothing_passes_removes_nothing_and_says_so(tmp_path):
	found = load(
		tmp_path,
		by_page([active(3, on=False)]),
		paged(more="record_filter = 'active == `1`'"),
		first=by_page([active(3)]),
	)
	nothing_is_lost(found, "None of the 3 records", "record_filter")


def test_an_event_of_a_record_that_does_not_pass_makes_no_document(tmp_path):
	config = paged(more="record_filter = 'active == `1`'\ndeleted_path = 'gone'")
	with stream_of(tmp_path, by_page([active(3)]), config) as (_, runtime):
		run_stream(runtime, "things")
		stream = load_stream(runtime, "things")
		writer = PageWriter(
			runtime, stream, Redactor(), mark=event_mark(new_id(), 1), operation="Event", current=False
		)
		for record, left in (
			({"id": 9, "active": 0}, [1, 2, 3]),
			({"id": 2, "active": 0}, [1, 2, 3]),
			({"id": 9, "active": 1}, [1, 2, 3, 9]),
			({"id": 9, "active": 0, "gone": True}, [1, 2, 3]),
		):
			in_transaction(runtime.db, lambda record=record: writer.write([record]))
			assert ids(runtime) == left
		# Of two states on one page, the later one counts, though it does not pass.
		in_transaction(runtime.db, lambda: writer.write([{"id": 7, "active": 1}, {"id": 7, "active": 0}]))
		assert ids(runtime) == [1, 2, 3]


def test_a_total_is_compared_with_what_was_sent_before_the_filter(tmp_path):
	then = by_page([active(2), active(2, 3, on=False)], total=4)
	config = paged(size=2, more="record_filter = 'active == `1`'")
	_, after, row, _ = load(tmp_path, then, config, first=by_page([active(2), active(2, 3)], total=4))
	assert after == [1, 2] and row["error"] is None


def test_a_record_that_the_filter_does_not_fit_fails_by_itself_and_stays(tmp_path):
	odd = [{"id": 3, "name": None}]
	first = by_page([[{"id": n, "name": "A"} for n in (1, 2, 3)]])
	config = paged(more="""record_filter = "starts_with(name, 'A')\"""")
	_, after, row, _ = load(tmp_path, by_page([[{"id": 1, "name": "A"}, *odd]]), config, first=first)
	assert after == [1, 3] and (row["failed"], row["status"]) == (1, "Partial")
	assert "record_filter" in row["error"]


# 3: signs that there is more


def nested(path: str, value) -> dict:
	for name in reversed(path.split("/")):
		value = {name: value}
	return value


MORE = [
	("has_more", True),
	("hasMore", "true"),
	("HasMore", 1),
	("more", True),
	("meta/has_more", True),
	("pagination/has_more", True),
	("paging/hasNextPage", True),
	("pageInfo/hasNextPage", True),
	("data_info/next_cursor", "abc"),
	("next", "http://x/things?page=2"),
	("next", {"href": "/things?page=2"}),
	("_links/next/href", "/things?page=2"),
	("links/next", "/things?page=2"),
	("paging/next/after", "c1"),
	("next_page", 2),
	("next_cursor", "abc"),
	("nextCursor", "abc"),
	("nextPageToken", "abc"),
	("next_page_token", "abc"),
	("response_metadata/next_cursor", "abc"),
	("@odata.nextLink", "things?$skip=5"),
	("odata.nextLink", "things?$skip=5"),
	("nextRecordsUrl", "/more"),
	("continue", {"apcontinue": "B"}),
	("total", 8),
	("total", "8"),
	("total", "1,234"),
	("total", "1.234"),
	("total", "1 234"),
	("total", "1\u202f234"),
	("total", "1'234"),
	("total", "1,234,567.00"),
	("total_count", 8),
	("totalCount", 8),
	("count", 8),
	("meta/pagination/total", 8),
	("page/totalElements", 8),
	("hits/total", {"value": 8, "relation": "eq"}),
	("@odata.count", 8),
	("odata.count", "8"),
	("paging/total_pages", 2),
	("page/totalPages", 2),
	("info/pages", 2),
	("last", False),
	("isLast", False),
	("done", False),
	("truncated", True),
	("isTruncated", "true"),
	("exceededTransferLimit", True),
	("incomplete_results", True),
	("link", [{"relation": "self", "url": "x"}, {"relation": "next", "url": "y"}]),
	("errors", ["half of it could not be read"]),
	("timed_out", True),
	("_shards", {"total": 3, "successful": 2, "failed": 1}),
	("LastEvaluatedKey", {"id": {"S": "x"}}),
	("length", 8),
	("found", 8),
	("additional_data/pagination/more_items_in_collection", True),
	("@Microsoft.Dynamics.CRM.morerecords", True),
	("metadata/remainingItemCount", 3),
	("page/total", 2),  # pages, since more records came
	("limit_reached", True),
	("partial", True),
	("cursor", "abc"),
	("next_key", "NO"),  # of Norway
]
HEADERS = [
	("X-Total-Count", "8"),
	("X-Total", "8"),
	("X-WP-Total", "8"),
	("Total-Records", "8"),
	("X-Pagination-Total-Count", "8"),
	("X-WP-TotalPages", "3"),
	("X-Total-Pages", "3"),
	("Content-Range", "items 0-4/8"),
	("Content-Range", "0-4/8"),
	("Next-Page", "http://x/things?_token=1"),
	("X-Next-Page", "2"),
	("X-Has-More", "true"),
	("X-Pagination", '{"total": 8}'),
	("Link", '</things?page=2>; rel="next"'),
	("link", '</things?page=2>; REL="last next"'),
	("X-MS-Continuation", "abc"),
]


@pytest.mark.parametrize(("place", "value"), MORE)
@pytest.mark.parametrize("kind", ["None", "Link Header", "Cursor"])
def test_a_sign_of_more_in_the_body_keeps_every_document(tmp_path, place, value, kind):
	config = paged(kind, 100, 'cursor_path = "nowhere"' if kind == "Cursor" else "")
	answer = {"data": things(5), **nested(place, value)}
	row = nothing_is_lost(load(tmp_path, lambda path, query: answer, config))
	assert row["status"] == "Completed"
	if place != "errors":
		assert "pagination" in row["error"].lower()


@pytest.mark.parametrize(("name", "value"), HEADERS)
@pytest.mark.parametrize("kind", ["None", "Next Link", "Page Number"])
def test_a_sign_of_more_in_a_header_keeps_every_document(tmp_path, name, value, kind):
	def answer(path, query):
		return 200, {name: value}, {"data": things(5) if query.get("page", "1") == "1" else []}

	row = nothing_is_lost(load(tmp_path, answer, paged(kind, 100, "stable_pages = true")), "pagination")
	assert name.lower() in row["error"].lower() or "records" in row["error"]


NO_SIGN = [
	("count", 5),  # the page's own
	("meta/count", 5),
	("total", 5),
	("total", 3),
	("total", None),
	("total", 12.5),
	("total_price", 4000),
	("total_amount", 9000),
	("next", None),
	("next", False),
	("next", ""),
	("next", {}),
	("links/next", None),
	("_links/next", {"href": None}),
	("has_more", False),
	("has_more", "false"),
	("has_more", "0"),
	("has_more", None),
	("last", True),
	("last", "/things?page=1"),
	("prev", "/things?page=0"),
	("next_sync_token", "s1"),
	("end_cursor", "abc"),
	("pages", 1),
	("page/totalPages", 1),
	("account/count", 700),
	("owner/next_of_kin", "Ada"),
	("error", None),
	("errors", []),
	("rate/remaining", 4999),
	("per_page", 100),
	("limit", 50),
	("next", -1),
	("next_cursor", "-1"),
	("next", "null"),
	("more", "https://docs.example.com/more"),
	("timed_out", False),
	("_shards", {"total": 300, "successful": 300, "failed": 0}),
	("meta", {"total_count": 300, "filter_count": 5}),
	("page_info", {"recordsTotal": 300, "recordsFiltered": 5}),
	("others", {"nodes": [{"id": 1}], "pageInfo": {"hasNextPage": True}}),
	("page", {"current": 1, "total": 1}),
	("remaining", 0),
]


@pytest.mark.parametrize(("place", "value"), NO_SIGN)
def test_what_is_no_sign_of_more_gives_no_alarm(tmp_path, place, value):
	answer = {"data": things(5), **nested(place, value)}
	_, after, row, _ = load(tmp_path, lambda path, query: answer, paged("None", 100))
	assert after == [1, 2, 3, 4, 5] and row["error"] is None


def test_records_are_no_envelope(tmp_path):
	records = [
		{**one, "has_more": True, "total": 90, "next": "/x", "meta": {"count": 70}} for one in things(5)
	]
	_, after, row, _ = load(tmp_path, lambda path, query: {"data": records}, paged("None", 100))
	assert after == [1, 2, 3, 4, 5] and row["error"] is None
	keyed = {str(one["id"]): one for one in records}
	config = 'records_path = "values(result.data)"'
	first = always({"result": {"data": {str(one["id"]): one for one in things(8)}}})
	folder = tmp_path / "keyed"
	folder.mkdir()
	_, after, row, _ = load(folder, lambda path, query: {"result": {"data": keyed}}, config, first=first)
	assert after == [1, 2, 3, 4, 5] and row["error"] is None


@pytest.mark.parametrize(
	("kind", "more"),
	[
		("None", ""),
		("Cursor", 'cursor_path = "nowhere"'),
		("Next Link", 'cursor_path = "nowhere"'),
		("Link Header", ""),
	],
)
def test_exactly_as_many_records_as_were_asked_for_is_a_sign(tmp_path, kind, more):
	answer = always({"data": things(5)})
	row = nothing_is_lost(load(tmp_path, answer, paged(kind, 5, more)), "5 records", "exactly")
	assert row["status"] == "Completed"


@pytest.mark.parametrize(
	"param", ["limit=5", "per_page=5", "$top=5", "pageSize=5", "page[size]=5", "_limit=5"]
)
def test_what_a_query_parameter_asks_for_counts_as_asked_for(tmp_path, param):
	answer = always({"data": things(5)})
	nothing_is_lost(load(tmp_path, answer, paged("None", 100, f'params = "{param}"')), "exactly")


@pytest.mark.parametrize(
	"envelope",
	[{"total": 5}, {"has_more": False}, {"next": None}, {"page": {"totalPages": 1}}, {"isLast": True}],
)
def test_a_full_page_is_no_sign_where_the_source_says_that_it_is_all(tmp_path, envelope):
	answer = always({"data": things(5), **envelope})
	_, after, row, _ = load(tmp_path, answer, paged("None", 5))
	assert after == [1, 2, 3, 4, 5] and row["error"] is None


def test_a_typo_in_has_more_path_proves_no_end(tmp_path):
	answer = always({"data": things(2), "weiter": True})
	nothing_is_lost(load(tmp_path, answer, paged(more='more_path = "has_mor"')), "has_mor", "more_path")


def test_a_typo_in_has_more_path_is_named_though_a_total_shows_it_as_well(tmp_path):
	answer = always({"data": things(2), "total": 5})
	loaded = load(tmp_path, answer, paged(more='more_path = "has_mor"'))
	nothing_is_lost(loaded, "the source counts 5 records", "has_mor", "Check Has More Path (more_path)")


def test_a_has_more_path_that_never_says_no_is_named(tmp_path, monkeypatch):
	monkeypatch.setattr("integration_hub.connectors.rest.MAX_EMPTY", 5)
	answer = lambda path, query: {"data": things(2) if query["page"] == "1" else [], "total": 2}  # noqa: E731
	*_, row, _server = load(tmp_path, answer, paged(more='more_path = "total"'))
	assert row["status"] == "Failed" and "Check Has More Path (more_path)" in row["error"]


def test_a_has_more_path_that_never_says_no_costs_some_dozen_requests(tmp_path):
	answer = lambda path, query: {"data": things(2) if query["page"] == "1" else [], "total": 2}  # noqa: E731
	*_, row, server = load(tmp_path, answer, paged(more='more_path = "total"'))
	assert row["status"] == "Failed" and "the last 51 of them empty" in row["error"]


def test_empty_pages_that_lead_on_are_walked(tmp_path):
	"""A source that filters what it has counted off says where it is: its pages differ."""

	def answer(path, query):
		page = int(query["page"])
		return {"data": things(2) if page in (1, 120) else [], "page": page, "more": page < 120}

	*_, row, _server = load(tmp_path, answer, paged(more='more_path = "more"'))
	assert row["status"] == "Completed" and row["pages"] >= 120


def test_a_link_in_a_header_of_its_own_is_followed_by_settings_alone(tmp_path):
	"""As Kinto sends it."""

	def answer(path, query):
		start = int(query.get("_token", 1))
		headers = {"Next-Page": f"{server.url}/things?_token={start + 3}"} if start < 7 else {}
		return 200, {"Total-Objects": "9", **headers}, {"data": things(3, start)}

	with stream_of(tmp_path, answer, paged("Link Header", 3)) as (server, runtime):
		row = run_stream(runtime, "things")
		assert (
			len(ids(runtime)) == 3 and "'Next-Page' as Cursor or Next Link Path (cursor_path)" in row["error"]
		)
	with stream_of(tmp_path, answer, paged("Link Header", 3, 'cursor_path = "Next-Page"')) as (
		server,
		runtime,
	):
		row = run_stream(runtime, "things")
		assert ids(runtime) == list(range(1, 10)) and row["error"] is None


def test_a_total_that_shrinks_during_the_walk_is_taken_as_it_is_last(tmp_path):
	totals = {1: 6, 2: 5, 3: 0}

	def answer(path, query):
		number = int(query["page"])
		return {"data": [things(3), things(2, 4), []][number - 1], "total": totals[number]}

	_, after, row, _ = load(tmp_path, answer, paged(more="stable_pages = true"))
	assert after == [1, 2, 3, 4, 5] and row["error"] is None


def test_a_total_of_nothing_on_an_empty_page_does_not_undo_what_was_said_before(tmp_path):
	def answer(path, query):
		return {"data": things(3), "total": 8} if query["page"] == "1" else {"data": [], "total": 0}

	nothing_is_lost(load(tmp_path, answer, paged()), "8 records")


def test_the_second_look_has_to_be_complete_as_well(tmp_path):
	"""Six are met, the first time; the list is then capped."""
	passes = []

	def answer(path, query):
		number = int(query["page"])
		passes.append(number)
		capped = passes.count(1) > 1
		return {
			"data": [things(3), things(3, 4), []][number - 1 if not capped else (0 if number == 1 else 2)],
			"has_more": capped,
		}

	nothing_is_lost(load(tmp_path, answer, paged()), "has_more")


def test_a_watermark_is_not_moved_to_the_end_of_what_is_not_known_to_be_all(tmp_path):
	def dated(records):
		return [{**one, "at": f"2026-01-01T10:{one['id']:02d}:00Z"} for one in records]

	then = always({"data": dated(things(2, 20)), "has_more": True})
	first = always({"data": dated(things(8))})
	config = paged("None", 100, 'updated_at_path = "at"')
	_, after, row, _ = load(tmp_path, then, config, "Incremental", first=first)
	assert after == [*range(1, 9), 20, 21], "what came is written"
	assert row["checkpoint_after"] == row["checkpoint_before"]
	assert "the watermark was not moved" in row["error"]


def test_a_dry_run_says_that_the_list_is_not_known_to_be_complete(tmp_path):
	source = Turns(everything)
	with stream_of(tmp_path, source, paged("None", 100)) as (_, runtime):
		run_stream(runtime, "things")
		source.now = lambda path, query: {"data": things(2), "has_more": True}
		found = dry_run(runtime, "things")
		assert found.orphans == 0 and "has_more" in " ".join(found.notes)


# 4: a connector of one's own


class Stops(BaseConnector):
	"""Ends without a word."""

	records: list = []

	def pages(self, request: ListRequest):
		yield Page(type(self).records, "1", False, 10)


def test_a_connector_that_just_stops_has_proven_nothing(tmp_path):
	text = 'connector = "Stops"\n'
	Stops.records = things(8)
	with stream_of(tmp_path, everything) as (server, _):
		pass
	toml = (tmp_path / "hub.toml").read_text()
	toml = toml.replace('base_url = "', f'{text}base_url = "', 1)
	(tmp_path / "hub.toml").write_text(f'[connectors]\nStops = "{__name__}.Stops"\n{toml}')
	from integration_hub.runtime.standalone import StandaloneRuntime

	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		run_stream(runtime, "things")
		Stops.records = things(3)
		row = run_stream(runtime, "things")
		assert len(ids(runtime)) == 8 and row["deleted"] == 0
		assert "without a page that says it is the last" in row["error"]


# 6: next links


@pytest.mark.parametrize("nothing", [None, False, "", " ", {}, [], "null"])
def test_no_link_is_no_link(tmp_path, nothing):
	answer = always({"data": things(3), "next": nothing})
	_, after, row, _ = load(tmp_path, answer, paged("Next Link"))
	assert after == [1, 2, 3] and row["error"] is None


def test_has_more_decides_where_a_link_is_always_there(tmp_path):
	def answer(path, query):
		start = int(query.get("from", 1))
		return {"data": things(3, start), "next": f"/things?from={start + 3}", "meta": {"more": start < 4}}

	config = paged("Next Link", more='more_path = "meta.more"')
	_, after, row, server = load(
		tmp_path, answer, config, first=lambda p, q: {"data": things(8), "meta": {"more": False}}
	)
	assert after == [1, 2, 3, 4, 5, 6] and row["error"] is None
	assert len(server.asked) == 4, "two pages, twice"


def test_more_without_a_link_is_an_error(tmp_path):
	answer = always({"data": things(3), "more": True})
	config = paged("Next Link", more='more_path = "more"')
	row = nothing_is_lost(
		load(tmp_path, answer, config, first=lambda p, q: {"data": things(8), "more": False}), "no link"
	)
	assert row["status"] == "Failed"


# 7: the last page for ever


def for_ever(pages, **envelope):
	return lambda path, query: {"data": pages[min(int(query["page"]), len(pages)) - 1], **envelope}


@pytest.mark.parametrize("envelope", [{"total_count": 8}, {"count": 8}, {"total_pages": 3}])
def test_a_last_page_that_comes_for_ever_ends_where_all_has_come(tmp_path, envelope):
	pages = [things(3), things(3, 4), things(2, 7)]
	before, after, row, _ = load(
		tmp_path, for_ever(pages, **envelope), paged(), first=by_page([*pages, things(1, 9)])
	)
	assert (
		before[-1] == 9
		and after == list(range(1, 9))
		and (row["status"], row["error"]) == ("Completed", None)
	)


@pytest.mark.parametrize("status", [400, 404, 416, 422])
@pytest.mark.parametrize("envelope", [{"count": 8}, {"next": None}])
@pytest.mark.parametrize("more", ["", "lanes = 3", "stable_pages = true"])
def test_a_page_behind_the_end_that_is_refused_ends_what_has_come_as_a_whole(
	tmp_path, status, envelope, more
):
	pages = [things(3), things(3, 4), things(2, 7)]

	def answer(path, query):
		known = int(query["page"]) <= 3
		return (
			{"data": pages[int(query["page"]) - 1], **envelope} if known else (status, {}, {"detail": "no"})
		)

	first = by_page([*pages, things(1, 9)])
	_, after, row, _ = load(tmp_path, answer, paged(more=more), first=first)
	assert after == list(range(1, 9)) and (row["status"], row["error"]) == ("Completed", None)


@pytest.mark.parametrize("envelope", [{}, {"count": 12}, {"next": "/things?page=9"}])
def test_a_page_that_is_refused_is_no_end_while_more_may_wait(tmp_path, envelope):
	pages = [things(3), things(3, 4)]

	def answer(path, query):
		known = int(query["page"]) <= 2
		return {"data": pages[int(query["page"]) - 1], **envelope} if known else (404, {}, {"detail": "no"})

	row = nothing_is_lost(load(tmp_path, answer, paged()))
	assert row["status"] == "Failed"


def test_pages_may_be_counted_from_zero(tmp_path):
	pages = [things(3), things(3, 4), things(2, 7)]

	def answer(path, query):
		number = int(query["page"])
		return {"data": pages[number] if number < 3 else []}

	_, after, row, _ = load(tmp_path, answer, paged(more='params = "page=0"'), first=answer)
	assert after == list(range(1, 9)) and row["status"] == "Completed"


def test_a_last_page_that_comes_for_ever_proves_nothing_by_itself(tmp_path):
	row = nothing_is_lost(
		load(tmp_path, for_ever([things(3), things(2, 4)]), paged()), "same page arrived twice", "page_param"
	)
	assert row["status"] == "Completed"


def test_a_server_that_ignores_the_page_is_told_from_one_that_repeats_its_last(tmp_path):
	ignored = always({"data": things(3)})
	nothing_is_lost(load(tmp_path, ignored, paged()), "same page arrived twice")


def test_the_same_records_with_a_time_of_their_own_are_the_same_page(tmp_path):
	clock = iter(range(1000))

	def ignored(path, query):
		return {"data": [{**one, "served": next(clock)} for one in things(3)], "total": 8}

	row = nothing_is_lost(load(tmp_path, ignored, paged()), "same page arrived twice", "total")
	assert row["status"] == "Failed", "the source itself says that there is more"


# 8: nothing


@pytest.mark.parametrize(
	"nothing", [(200, {}, {"data": None}), (204, {}, None), (200, {}, None), {"data": []}]
)
def test_null_and_no_content_are_no_records(tmp_path, nothing):
	before, after, row, _ = load(tmp_path, lambda path, query: nothing, 'records_path = "data"')
	assert (row["status"], row["fetched"], row["deleted"]) == ("Completed", 0, 0) and after == before


@pytest.mark.parametrize("body", [{"items": [], "total": 3}, {}, [], "text", 5, True])
def test_a_key_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path, body):
	row = nothing_is_lost(
		load(tmp_path, lambda path, query: body, 'records_path = "data"'), "there is no list at this path"
	)
	assert row["status"] == "Failed"
	if isinstance(body, dict) and body:
		assert "items" in row["error"] and "total" in row["error"]


def test_null_beside_an_error_is_no_empty_list(tmp_path):
	body = {"data": None, "errors": [{"message": "not today"}]}
	row = nothing_is_lost(load(tmp_path, always(body), 'records_path = "data"'), "not today")
	assert row["status"] == "Failed"


def test_an_empty_body_is_no_empty_list(tmp_path):
	row = nothing_is_lost(
		load(tmp_path, lambda path, query: (200, {}, b""), 'records_path = "data"'), "empty"
	)
	assert row["status"] == "Failed"


# Whatever a source says


names = st.sampled_from([place for place, _ in MORE] + [place for place, _ in NO_SIGN])
scalars = st.none() | st.booleans() | st.integers(-5, 200) | st.text(max_size=8) | st.floats(allow_nan=False)
values = st.recursive(
	scalars,
	lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
)


@settings(suppress_health_check=list(HealthCheck))
@given(
	envelope=st.dictionaries(names | st.text(max_size=10), values, max_size=6), header=st.text(max_size=30)
)
def test_any_envelope_can_be_read(envelope, header):
	read_signs(
		envelope,
		{"Link": header, "X-Total": header, "X-Pagination": header, "Content-Range": header},
		"http://x/",
		"data",
	)


def test_reading_the_signs_of_a_large_envelope_costs_little():
	answer = {"data": things(3), **{f"key{n}": {f"k{m}": {"a": 1} for m in range(300)} for n in range(300)}}
	looked = []

	class Counting(dict):
		def items(self):
			looked.append(len(self))
			return super().items()

	read_signs(json.loads(json.dumps(answer), object_pairs_hook=Counting), {}, "", "data")
	assert len(looked) <= 1 + completeness_signs._KEYS * (1 + completeness_signs._KEYS)


@given(
	st.integers(0, 10**15 - 1), st.sampled_from(["", ",", ".", "'", "\u2019", " ", "\u00a0", "\u202f", "_"])
)
def test_a_count_is_the_same_in_each_grouping(number, mark):
	for text in (f"{number:,}".replace(",", mark), f" {number:,} ".replace(",", mark)):
		assert read_signs({"data": [], "total": text}, {}).total == number
		assert read_signs([], {"X-Total-Count": text}).total == number


@given(st.text(max_size=25) | st.text("0123456789,. ", max_size=25))
def test_what_is_no_count_is_none(text):
	total = read_signs({"data": [], "total": text}, {}).total
	assert total is None or 0 <= total < 10**15
