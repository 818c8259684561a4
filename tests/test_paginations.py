"""Pagination beyond the basics: counts, statuses, headers, links to later changes, connections."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import pytest

from integration_hub.connectors.pages import ListRequest
from integration_hub.sync.run import run_stream
from tests.list_server import ids, stream_of, things

ALL = things(7)


def pages(query: dict[str, str], size: int = 3, first: int = 1) -> list:
	at = (int(query["page"]) - first) * size
	return ALL[at : at + size]


COUNTED = 'records_path = "data"\npagination = "Page Number"\npage_size = 3\n'


def total_in_body(path, query):
	return {"data": pages(query), "meta": {"count_all": 7}}


def total_in_header(path, query):
	return 200, {"X-Anzahl": "7"}, {"data": pages(query)}


def page_count(path, query):
	return {"data": pages(query), "meta": {"last": 3}}


def from_zero(path, query):
	return {"data": pages(query, first=0), "seiten": 3}


def bare(path, query):
	return {"data": pages(query)}


def refused_beyond(path, query):
	return {"data": pages(query)} if pages(query) else (409, {}, {"error": "no such page"})


def empty_is_refused(path, query):
	return {"data": pages(query)} if pages(query) else (400, {}, {"error": "no such page"})


def by_offset(path, query):
	at = int(query["offset"])
	return {"data": ALL[at : at + 2], "sum": "7"}


def last_key(path, query):
	after = int(query.get("cursor", 0))
	return {"data": [one for one in ALL if one["id"] > after][:3]}


def cursor_in_header(path, query):
	after = int(query.get("cursor", 0))
	found = [one for one in ALL if one["id"] > after][:3]
	return 200, {"X-Next": str(found[-1]["id"]) if len(found) == 3 else ""}, found


def pages_in_header(path, query):
	return 200, {"X-Total-Pages": "3"}, {"data": pages(query)}


def numeric_cursor(path, query):
	after = float(query.get("cursor", 0))
	found = [one for one in ALL if one["id"] > after][:3]
	return {"data": found, "next_cursor": found[-1]["id"] if len(found) == 3 else 0}


def fractional_cursor(path, query):
	after = float(query.get("cursor", 0))
	found = [one for one in ALL if one["id"] > after][:3]
	return {"data": found, "next_cursor": found[-1]["id"] + 0.25 if len(found) == 3 else None}


def relative_link(path, query):
	first = int(query.get("skip", 0))
	return {"data": ALL[first : first + 3], "next": f"?skip={first + 3}" if first + 3 < 7 else ""}


def link_from_the_root(path, query):
	first = int(query.get("skip", 0))
	return {"data": ALL[first : first + 3], "next": f"/things?skip={first + 3}" if first + 3 < 7 else None}


def link_in_a_header(path, query):
	first = int(query.get("skip", 0))
	return 200, {"Next-Page": f"/things?skip={first + 3}"} if first + 3 < 7 else {}, ALL[first : first + 3]


@pytest.mark.parametrize(
	("answer", "text", "requests"),
	[
		(pages_in_header, COUNTED + 'pages_path = "header:X-Total-Pages"', 3),
		(numeric_cursor, 'records_path = "data"\npagination = "Cursor"', 3),
		(fractional_cursor, 'records_path = "data"\npagination = "Cursor"', 3),
		(relative_link, 'records_path = "data"\npagination = "Next Link"', 3),
		(link_from_the_root, 'records_path = "data"\npagination = "Next Link"', 3),
		(link_in_a_header, 'pagination = "Link Header"\ncursor_path = "Next-Page"', 3),
		(total_in_body, COUNTED + 'total_path = "meta.count_all"', 3),
		(total_in_header, COUNTED + 'total_path = "header:X-Anzahl"', 3),
		(page_count, COUNTED + 'pages_path = "meta.last"', 3),
		(from_zero, COUNTED + 'first_page = 0\npages_path = "seiten"', 3),
		(bare, COUNTED + "short_page_ends = true", 3),
		(bare, COUNTED, 4),
		(refused_beyond, COUNTED + 'end_statuses = "404, 409"', 4),
		(by_offset, 'records_path = "data"\npagination = "Offset"\npage_size = 3\ntotal_path = "sum"', 4),
		(last_key, 'records_path = "data"\npagination = "Cursor"\ncursor_path = "data[-1].id"', 4),
		(cursor_in_header, 'pagination = "Cursor"\ncursor_path = "header:X-Next"', 3),
	],
)
def test_a_list_ends_where_its_settings_say(tmp_path, answer, text, requests):
	with stream_of(tmp_path, answer, text) as (source, runtime):
		row = run_stream(runtime, "things")
		assert (row["status"], row["error"]) == ("Completed", None)
		assert ids(runtime) == [1, 2, 3, 4, 5, 6, 7]
		assert len(source.asked) == requests


def test_a_status_of_the_end_is_an_error_at_the_beginning(tmp_path):
	with stream_of(tmp_path, lambda path, query: (404, {}, {}), COUNTED + 'end_statuses = "404"') as (
		_source,
		runtime,
	):
		assert run_stream(runtime, "things")["status"] == "Failed"


def test_a_total_above_what_came_keeps_the_list_from_being_complete(tmp_path):
	gone = {"now": False}

	def answer(path, query):
		found = pages(query)
		return (
			{"data": found[:1] if gone["now"] else found, "meta": {"count_all": 7}} if found else {"data": []}
		)

	with stream_of(tmp_path, answer, COUNTED + 'total_path = "meta.count_all"') as (_source, runtime):
		run_stream(runtime, "things")
		gone["now"] = True
		row = run_stream(runtime, "things")
		assert "not known to be complete" in row["error"]
		assert ids(runtime) == [1, 2, 3, 4, 5, 6, 7]


def test_a_relay_connection_is_walked_by_its_page_info(tmp_path):
	def answer(path, query):
		variables = json.loads(source.sent[-1][3])["variables"]
		first = int(variables.get("after", 0))
		found = ALL[first : first + variables["first"]]
		info = {"endCursor": str(first + len(found)), "hasNextPage": first + len(found) < 7}
		return {"data": {"things": {"edges": [{"node": one} for one in found], "pageInfo": info}}}

	text = 'records_path = "map(&node, data.things.edges)"\npagination = "Relay"\npage_size = 3\n'
	text += 'method = "POST"\nbody_format = "GraphQL"\nbody = "{ things { id } }"\n'
	text += """variables = '{"after": "{cursor}", "first": "{page_size}"}'"""
	with stream_of(tmp_path, answer, text) as (source, runtime):
		row = run_stream(runtime, "things")
		assert (row["status"], row["error"]) == ("Completed", None)
		assert ids(runtime) == [1, 2, 3, 4, 5, 6, 7]


def test_a_delta_link_resumes_the_feed_behind_its_end(tmp_path):
	changes = {"2": [{"id": 8}], "3": []}

	def answer(path, query):
		if token := query.get("token"):
			link = f"{source.url}/things?token={int(token) + 1}"
			return {"value": changes[token], "@odata.deltaLink": link}
		first = int(query.get("skip", 0))
		more = first + 3 < 7
		link = f"{source.url}/things?skip={first + 3}" if more else f"{source.url}/things?token=2"
		return {"value": ALL[first : first + 3], "@odata.nextLink" if more else "@odata.deltaLink": link}

	text = 'records_path = "value"\npagination = "Delta Link"\n'
	with stream_of(tmp_path, answer, text, mode="Cursor") as (source, runtime):
		for wanted in ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8]):
			row = run_stream(runtime, "things")
			assert (row["status"], row["error"]) == ("Completed", None)
			assert ids(runtime) == wanted
		assert [query.get("token") for query in source.asked] == [None, None, None, "2", "3"]


def test_a_fetch_that_is_resumed_behind_the_end_is_at_its_end(tmp_path):
	request = ListRequest(
		"/things",
		records_path="data",
		pagination={
			"kind": "Page Number",
			"page_size": 3,
			"page_size_param": "",
			"page_param": "",
			"more_path": "",
		},
		state="4",
		end_statuses=(409,),
	)
	with stream_of(tmp_path, refused_beyond) as (_source, runtime), runtime.connector("source") as connector:
		[page] = connector.pages(request)
		assert page.last and not page.records


@pytest.mark.parametrize("kind", ["Page Number", "Offset", "Cursor"])
@pytest.mark.parametrize("body_format", ["JSON", "Form"])
def test_the_page_stands_in_the_body(tmp_path, kind, body_format):
	place = {"Page Number": "page", "Offset": "offset", "Cursor": "cursor"}[kind]

	def answer(path, query):
		sent = source.sent[-1][3].decode()
		body = json.loads(sent)["list"]["at"] if body_format == "JSON" else dict(parse_qsl(sent))
		assert int(body["n"]) == 3 and not query
		at = int(body.get("where") or 0)
		first = (at - 1) * 3 if kind == "Page Number" else at
		found = ALL[first : first + 3]
		return {"data": found, "next_cursor": first + 3 if first + 3 < 7 else None}

	lines = {
		"JSON": f'{{"list": {{"at": {{"where": "{{{place}}}", "n": "{{page_size}}"}}}}}}',
		"Form": f"where={{{place}}}\\nn={{page_size}}",
	}
	quote = "'" if body_format == "JSON" else '"'
	text = f'records_path = "data"\npagination = "{kind}"\npage_size = 3\nmethod = "POST"\n'
	text += f'body_format = "{body_format}"\nbody = {quote}{lines[body_format]}{quote}\n'
	with stream_of(tmp_path, answer, text) as (source, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Completed", row["error"]
		assert ids(runtime) == [1, 2, 3, 4, 5, 6, 7]


def test_a_cursor_that_is_true_is_refused(tmp_path):
	text = 'records_path = "data"\npagination = "Cursor"\ncursor_path = "more"'
	with stream_of(tmp_path, lambda path, query: {"data": ALL, "more": True}, text) as (_source, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and "neither text nor a number" in row["error"]
