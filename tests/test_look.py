"""A look at a source: where its lists are, which keys they have, how it goes on; and what is kept from the look."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.answer_shape import keys_in, lists_in, name_path, pagination_in
from integration_hub.connectors.bounded_jmespath import search
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.rest import RestConnector, find_records
from integration_hub.stores.runtime import HubError
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.mapping import Mapper, MappingError
from integration_hub.sync.run import load_stream
from integration_hub.sync.source_look import _Shown, look
from tests.test_connectors import LOCAL, Memory

ROWS = [{"id": 1, "name": "Ada"}]
SECRET = "s3cret-of-the-integration"


@pytest.mark.parametrize(
	("answer", "path"),
	[
		(ROWS, ""),
		({"data": ROWS}, "data"),
		({"result": {"items": ROWS}, "tags": ["a", "b", "c"]}, "result.items"),
		({"few": ROWS, "many": ROWS * 3}, "many"),
		({"odata.value": ROWS}, '"odata.value"'),
		({"a-b": {"c d": ROWS}}, '"a-b"."c d"'),
	],
)
def test_the_likeliest_list_comes_first_and_its_path_leads_there(answer, path):
	first = lists_in(answer)[0]
	assert (first.path, first.records) == (path, True)
	assert find_records(answer, first.path)


@pytest.mark.parametrize("answer", [None, 1, "x", {}, {"a": 1}, [1, 2], {"tags": ["a"]}])
def test_where_there_are_no_records_none_are_named(answer):
	assert not [place for place in lists_in(answer) if place.records]


JSON = st.recursive(
	st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
	lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
	max_leaves=30,
)


@given(JSON)
def test_whatever_comes_each_path_that_is_named_leads_to_its_list(answer):
	for place in lists_in(answer):
		found = search(place.path, answer) if place.path else answer
		assert isinstance(found, list) and len(found) == place.count
	pagination_in(answer, {}, "https://x.example/list")
	if isinstance(answer, dict):
		for key in keys_in([answer]):
			value = search(key.path, answer)
			assert value == key.sample or value != value or isinstance(value, float | list | dict)


def test_keys_have_a_value_that_some_record_has_and_lead_into_objects():
	records = [
		{"id": 1, "name": None, "address": {"city": ""}},
		{"id": 2, "name": "Ada", "address": {"city": "Bonn"}},
	]
	found = {key.path: key.sample for key in keys_in([*records, {"lines": [{"sku": "a"}]}])}
	assert found == {"id": 1, "name": "Ada", "address.city": "Bonn", "lines": [{"sku": "a"}]}
	assert [key.path for key in keys_in([{"lines": [{"sku": "a"}]}]) if key.rows] == ["lines"]


@pytest.mark.parametrize(
	("answer", "headers", "wanted"),
	[
		(ROWS, {"Link": '<https://x.example/list?page=2>; rel="next"'}, {"pagination": "Link Header"}),
		(ROWS, {"Link": '<https://x.example/list?page=1>; rel="prev"'}, {}),
		(ROWS, {"Link": "not a link"}, {}),
		(
			{"data": ROWS, "next": "https://x.example/list?page=2"},
			{},
			{"pagination": "Next Link", "cursor_path": "next"},
		),
		(
			{"data": ROWS, "links": {"next": "/l?p=2"}},
			{},
			{"pagination": "Next Link", "cursor_path": "links.next"},
		),
		(
			{"_links": {"next": {"href": "/l?p=2"}}},
			{},
			{"pagination": "Next Link", "cursor_path": "_links.next.href"},
		),
		(
			{"value": ROWS, "@odata.nextLink": "https://x.example/l?s=2"},
			{},
			{"pagination": "Next Link", "cursor_path": '"@odata.nextLink"'},
		),
		(
			{"data": ROWS, "next_cursor": "abc"},
			{},
			{"pagination": "Cursor", "cursor_path": "next_cursor", "page_param": "cursor"},
		),
		(
			{"items": ROWS, "nextPageToken": "abc"},
			{},
			{"pagination": "Cursor", "cursor_path": "nextPageToken", "page_param": "page_token"},
		),
		(
			{"data": ROWS, "meta": {"next_cursor": "abc"}, "has_more": True},
			{},
			{
				"pagination": "Cursor",
				"cursor_path": "meta.next_cursor",
				"page_param": "cursor",
				"more_path": "has_more",
			},
		),
		(
			{"data": ROWS, "page": 1, "has_more": True},
			{},
			{"pagination": "Page Number", "more_path": "has_more"},
		),
		({"data": ROWS, "meta": {"current_page": 1, "last_page": 9}}, {}, {"pagination": "Page Number"}),
		(
			{"data": ROWS, "offset": 0, "limit": 10, "total": 99},
			{},
			{"pagination": "Offset", "page_param": "offset"},
		),
		(
			{"issues": ROWS, "startAt": 0, "maxResults": 50, "total": 99},
			{},
			{"pagination": "Offset", "page_param": "startAt"},
		),
		({"data": ROWS, "has_more": True}, {}, {"pagination": "Page Number", "more_path": "has_more"}),
		({"data": ROWS, "next": None}, {}, {}),
		({"data": ROWS}, {}, {}),
		([{"next": "https://x.example"}], {}, {}),
	],
)
def test_the_pagination_that_an_answer_shows(answer, headers, wanted):
	assert pagination_in(answer, headers, "https://x.example/list") == wanted


@pytest.mark.parametrize(
	("place", "pagination"),
	[
		("page", "Page Number"),
		("offset", None),  # it says nothing but how many there are
		("cursor", "Cursor"),
		("next", "Next Link"),
		("link", "Link Header"),
	],
)
def test_a_look_at_the_sandbox_before_anything_is_set(runtime, place, pagination):
	"""Whatever way of paging the list has: the records, their keys, and that way."""
	found = look(runtime, StreamConfig("", integration="crm", endpoint=f"/v1/customers/{place}"))
	assert found["lists"][0]["records"] and not found["problem"]
	keys = {key["path"]: key["sample"] for key in found["keys"]}
	assert keys["name"] and "email" in keys
	assert found["pagination"].get("pagination") == pagination


def test_a_wrong_path_says_which_keys_are_there(runtime):
	stream = replace(load_stream(runtime, "customers-full"), records_path="data.items")
	assert "records are at data" in look(runtime, stream)["problem"]
	with pytest.raises(MalformedAnswer, match=r"'data' has the keys itmes, total.*records are at data.itmes"):
		find_records({"data": {"itmes": ROWS, "total": 1}}, "data.items")
	with pytest.raises(MappingError, match="the record has the keys number, name"):
		Mapper(StreamConfig("x"), str, {}).external_id({"number": 1, "name": "Ada"})


def test_no_secret_is_shown(runtime):
	config = IntegrationConfig("x", base_url="http://127.0.0.1:1")
	with RestConnector(config, Memory(secret=SECRET), LocalCoordination(), allowed_hosts=LOCAL) as client:
		answer = {
			"echo": f"you sent {SECRET}",
			"password": "hunter2-hunter2",
			SECRET: 1,
			"deep": [{"token": "abcdefgh", "n": [SECRET] * 9}],
		}
		shown = json.dumps(_Shown(client).short(answer))
	assert SECRET not in shown and "hunter2" not in shown and "abcdefgh" not in shown


def test_a_large_answer_is_shown_in_short(runtime):
	config = IntegrationConfig("x", base_url="http://127.0.0.1:1")
	with RestConnector(config, Memory(), LocalCoordination(), allowed_hosts=LOCAL) as client:
		wide = {f"k{n}": {f"i{m}": "x" * 5000 for m in range(200)} for n in range(200)}
		assert len(json.dumps(_Shown(client).short(wide))) < 800_000


def test_a_system_that_is_off_is_not_asked(make_runtime):
	runtime = make_runtime(("[integration.crm]\n", "[integration.crm]\nenabled = false\n"))
	with pytest.raises(HubError, match="disabled"):
		look(runtime, StreamConfig("", integration="crm", endpoint="/v1/customers/page"))


def test_names_are_written_so_that_they_are_found():
	for name in ("plain", "with space", 'quo"te', "back\\slash", "ü", "1st"):
		assert search(name_path("a", name), {"a": {name: 7}}) == 7
