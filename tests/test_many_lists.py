"""Streams of many lists and records within records: parents, values, windows, and how a fetch is resumed in them."""

from __future__ import annotations

import json
import threading
import time

import pytest

from integration_hub.connectors.redact import Redactor
from integration_hub.stores.ids import new_id
from integration_hub.stores.runtime import HubError
from integration_hub.sync.dry_runs import preview
from integration_hub.sync.flatten import flattened
from integration_hub.sync.run import run_stream
from integration_hub.webhooks.events import load_routes
from integration_hub.webhooks.handle import HandlerFailed, Handling
from tests.list_server import stream_of, things

PARENT = """
[stream.shops]
integration = "source"
enabled = false
endpoint = "/shops"
records_path = "data"
pagination = "Page Number"
page_size = 2
target_doctype = "Thing"
{parent}

[stream.shops.mapping]
thing = "id"

[stream.regions]
integration = "source"
enabled = false
endpoint = "/regions"
target_doctype = "Thing"

[stream.regions.mapping]
thing = "id"
"""
CHILD = 'endpoint = "/shops/{parent.id}/things"\nparent_stream = "shops"\nrecords_path = "data"\nid_path = "key"\n'


def settings(text: str, parent: str = "") -> str:
	"""Return the settings of the stream `things`, and those of the streams beside it."""
	return f'{text}\n[stream.things.mapping]\nthing = "key"\n{PARENT.format(parent=parent)}'


@pytest.fixture
def hub(tmp_path, monkeypatch):
	"""Give `stream_of` whose settings may name the endpoint and the mapping themselves."""
	from tests import list_server

	plain = list_server.HUB.replace('endpoint = "/things"\n', "").replace(
		'[stream.things.mapping]\nthing = "id"\n', ""
	)
	plain = plain.replace("max_attempts = 1", "max_attempts = 2\nmax_wait = 0.1")
	monkeypatch.setattr(list_server, "HUB", plain)
	return lambda answer, text, mode="Full": stream_of(tmp_path, answer, text, mode)


class Shops:
	"""A source of shops, each with a list of things. gone, broken: of these shops."""

	def __init__(self, shops: int = 5, each: int = 3):
		self.shops, self.each = shops, each
		self.gone: set[int] = set()
		self.broken: set[int] = set()

	def __call__(self, path, query):
		if path == "/shops":
			first = (int(query.get("page", 1)) - 1) * 2
			return {"data": things(self.shops)[first : first + 2]}
		shop = int(path.split("/")[2])
		if shop in self.gone:
			return 404, {}, {"error": "gone"}
		if shop in self.broken:
			return 500, {}, {"error": "broken"}
		found = [{"key": f"{shop}-{number}"} for number in range(self.each)]
		if "page" not in query:
			return {"data": found}
		return {"data": found[int(query["page"]) - 1 :][:1]}

	def keys(self) -> list[str]:
		shops = (shop for shop in range(1, self.shops + 1) if shop not in self.gone)
		return sorted(f"{shop}-{number}" for shop in shops for number in range(self.each))


def found(runtime) -> list[str]:
	return sorted(row["thing"] for row in runtime.db.query("SELECT `thing` FROM `tabThing`"))


def test_a_list_for_each_parent_is_fetched_and_what_is_gone_is_removed(hub):
	source = Shops()
	with hub(source, settings(CHILD)) as (_server, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == source.keys()
		source.shops, source.each = 6, 2
		row = run_stream(runtime, "things")
		assert (row["status"], row["created"], row["deleted"]) == ("Completed", 2, 5)
		assert found(runtime) == source.keys()


def test_a_parent_that_is_gone_meanwhile_is_no_error(hub):
	source = Shops()
	with hub(source, settings(CHILD)) as (_server, runtime):
		run_stream(runtime, "things")
		source.gone = {2}
		row = run_stream(runtime, "things")
		assert (row["status"], row["deleted"]) == ("Completed", 3)
		assert found(runtime) == source.keys()


def test_of_a_parent_that_fails_nothing_is_removed(hub):
	source = Shops()
	with hub(source, settings(CHILD)) as (_server, runtime):
		run_stream(runtime, "things")
		source.broken, source.each = {3}, 1
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and "1 of the stream's lists" in row["error"]
		assert row["deleted"] == 8
		assert found(runtime) == sorted([*source.keys(), "3-1", "3-2"])


def test_what_no_list_holds_stays_while_a_parent_fails(hub):
	source = Shops()
	with hub(source, settings(CHILD)) as (_server, runtime):
		run_stream(runtime, "things")
		before, source.broken, source.shops = found(runtime), {1}, 4
		assert run_stream(runtime, "things")["deleted"] == 0
		assert found(runtime) == before
		source.broken = set()
		assert run_stream(runtime, "things")["deleted"] == 3


def test_a_parent_that_failed_before_a_pause_counts_as_failed_behind_it(hub):
	source, asked = Shops(), []
	stop = {"at": 0}

	def answer(path, query):
		asked.append(path)
		if path == "/shops/4/things" and stop["at"]:
			stop["at"] = 0
			return 429, {"Retry-After": "1"}, {}
		return source(path, query)

	with hub(answer, settings(CHILD)) as (_server, runtime):
		run_stream(runtime, "things")
		source.broken, stop["at"] = {2}, 1
		assert run_stream(runtime, "things")["status"] == "Postponed"
		source.broken = set()
		time.sleep(1.1)
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and "1 of the stream's lists" in row["error"]
		assert found(runtime) == source.keys()
		run_stream(runtime, "things")
		assert found(runtime) == source.keys()


def test_lists_that_fail_one_after_the_other_end_the_run(hub):
	source = Shops(20)
	source.broken = set(range(3, 21))
	with hub(source, settings(CHILD)) as (server, runtime):
		assert run_stream(runtime, "things")["status"] == "Failed"
		assert len(server.asked) < 30
		assert "3-0" not in found(runtime) and "2-0" in found(runtime)


def test_a_source_whose_lists_are_all_empty_removes_nothing(hub):
	source = Shops()
	with hub(source, settings(CHILD)) as (_server, runtime):
		run_stream(runtime, "things")
		before, source.each, source.broken = found(runtime), 0, {5}
		run_stream(runtime, "things")
		assert found(runtime) == before


@pytest.mark.parametrize("lanes", [1, 3, 8])
def test_lists_are_begun_side_by_side_within_the_lanes(hub, lanes):
	source, busy = Shops(9), {"now": 0, "most": 0}
	lock = threading.Lock()

	def answer(path, query):
		with lock:
			busy["now"] += 1
			busy["most"] = max(busy["most"], busy["now"])
		time.sleep(0.02 if path != "/shops" else 0)
		with lock:
			busy["now"] -= 1
		return source(path, query)

	with hub(answer, settings(f"{CHILD}lanes = {lanes}\n")) as (server, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == source.keys()
		assert (busy["most"] > 1) is (lanes > 1) and busy["most"] <= lanes + 1
		assert len([1 for _m, path, _h, _b in server.sent if path != "/shops"]) == 9


@pytest.mark.parametrize("paging", ["", 'pagination = "Page Number"\npage_size = 1\n'])
def test_a_postponed_fetch_is_resumed_within_its_parents(hub, paging):
	source, asked = Shops(5, 3), []
	stops = {"at": 6}

	def answer(path, query):
		asked.append((path, query.get("page")))
		if path != "/shops" and len(asked) == stops["at"]:
			return 429, {"Retry-After": "1"}, {}
		return source(path, query)

	with hub(answer, settings(CHILD + paging)) as (_server, runtime):
		assert run_stream(runtime, "things")["status"] == "Postponed"
		begun = len(asked)
		time.sleep(1.1)
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == source.keys()
		first = [path for path, _page in asked[:begun] if path != "/shops"]
		again = [path for path, _page in asked[begun:] if path != "/shops"]
		assert not set(first[:-1]) - {first[-1]} & set(again), "a list that was whole is fetched again"


def test_the_parent_is_in_reach_of_the_mapping(hub):
	def answer(path, query):
		return [{"id": 7, "deep": {"name": "Shop A"}}] if path == "/shops" else [{"n": 1}, {"n": 2}]

	text = CHILD.replace('records_path = "data"\n', "").replace(
		'id_path = "key"', "id_path = \"join('-', [to_string(^.id), to_string(n)])\""
	)
	mapped = (
		settings(text)
		.replace('thing = "key"', 'thing = "^.deep.name"', 1)
		.replace('records_path = "data"\npagination = "Page Number"\npage_size = 2\n', "")
	)
	with hub(answer, mapped) as (_server, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == ["Shop A", "Shop A"]
		assert [row["external_id"] for row in preview(runtime, "things")] == ["7-1", "7-2"]


def test_streams_go_two_levels_deep(hub):
	def answer(path, query):
		parts = path.strip("/").split("/")
		if parts[0] == "regions":
			return things(2)
		if len(parts) == 2:
			return {"data": [{"id": f"{parts[1]}{name}"} for name in "ab"] if query["page"] == "1" else []}
		return {"data": [{"key": f"{parts[1]}-{number}"} for number in range(2)]}

	parent = 'parent_stream = "regions"'
	text = settings(CHILD, parent).replace('endpoint = "/shops"', 'endpoint = "/shops/{parent.id}"')
	with hub(answer, text) as (_server, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Completed", row["error"]
		assert found(runtime) == sorted(
			f"{region}{name}-{number}" for region in (1, 2) for name in "ab" for number in (0, 1)
		)


def test_a_list_for_each_value_is_fetched(hub):
	def answer(path, query):
		return [{"key": f"{query['region']}-{number}"} for number in range(2)]

	text = 'endpoint = "/things"\nid_path = "key"\nparams = "region={slice.value}"\nslice_values = "eu\\nus \\n\\neu"\n'
	with hub(answer, settings(text)) as (server, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == ["eu-0", "eu-1", "us-0", "us-1"]
		assert [query["region"] for query in server.asked] == ["eu", "us"]


def test_windows_of_time_follow_one_another_to_the_end(hub):
	def answer(path, query):
		return [{"key": query["from"]}]

	text = 'endpoint = "/things"\nid_path = "key"\nparams = "from={since:date}\\nto={until:date}"\n'
	text += 'window = "1d"\nwindow_start = "2026-01-30"\nwindow_end = "2026-02-02T12:00:00Z"\n'
	with hub(answer, settings(text)) as (server, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == ["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02"]
		assert [(q["from"], q["to"]) for q in server.asked][-1] == ("2026-02-02", "2026-02-02")


def test_a_search_is_posted_with_its_page_in_the_body(hub):
	def answer(path, query):
		body = json.loads(server.sent[-1][3])
		first = body["after"]["offset"]
		return {"data": [{"key": str(number)} for number in range(first, min(first + body["limit"], 5))]}

	text = 'endpoint = "/search"\nid_path = "key"\nrecords_path = "data"\nmethod = "POST"\nbody_format = "JSON"\npagination = "Offset"\npage_size = 2\n'
	text += 'headers = "X-Version: 2026-01\\nX-Page: {offset}"\n'
	text += """body = '{"after": {"offset": "{offset}"}, "limit": "{page_size}", "since": "{since:iso}"}'\n"""
	with hub(answer, settings(text)) as (server, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == ["0", "1", "2", "3", "4"]
		assert server.asked[0] == {}, "what stands in the body is not sent in the query as well"
		assert server.sent[1][0] == "POST" and server.sent[1][2]["X-Page"] == "2"
		assert json.loads(server.sent[0][3]) == {"after": {"offset": 0}, "limit": 2}


def test_a_graphql_query_is_sent_with_its_variables(hub):
	def answer(path, query):
		sent = json.loads(server.sent[-1][3])
		assert sent["query"] == "query($after: String) { things(after: $after) { id } }"
		after = int(sent["variables"].get("after", 0))
		return {"data": {"things": [{"key": str(after)}], "next": str(after + 1) if after < 2 else None}}

	text = 'endpoint = "/graphql"\nid_path = "key"\nrecords_path = "data.things"\nmethod = "POST"\nbody_format = "GraphQL"\npagination = "Cursor"\ncursor_path = "data.next"\n'
	text += "body = 'query($after: String) { things(after: $after) { id } }'\n"
	text += """variables = '{"after": "{cursor}"}'\n"""
	with hub(answer, settings(text)) as (server, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Completed", row["error"]
		assert found(runtime) == ["0", "1", "2"]
		assert server.asked == [{}, {}, {}]


def test_records_within_records_keep_the_outer_one_in_reach(hub):
	def answer(path, query):
		return [
			{"id": 1, "title": "Shirt", "variants": [{"id": 11}, {"id": 12}]},
			{"id": 2, "title": "Hat", "variants": []},
			{"id": 3, "title": "Sock"},
		]

	text = 'endpoint = "/products"\nid_path = "id"\nflatten_path = "variants"\n'
	with hub(
		answer, settings(text).replace('thing = "key"', "thing = \"join('/', [^.title, to_string(id)])\"", 1)
	) as (_server, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == ["Shirt/11", "Shirt/12"]


@pytest.mark.parametrize(
	("text", "field"),
	[
		('endpoint = "/a/{parent.id}"\n', "parent_stream"),
		('endpoint = "/a"\nparent_stream = "shops"\n', "parent_stream"),
		('endpoint = "/a"\nslice_values = "x"\n', "slice_values"),
		('endpoint = "/a/{sinec}"\n', "endpoint"),
		('endpoint = "/a"\nparams = "x={since:nope}"\n', "params"),
		('endpoint = "/a"\nheaders = "Authorization: x"\n', "headers"),
		('endpoint = "/a"\nheaders = "X Y: x"\n', "headers"),
		('endpoint = "/a"\nheaders = "X-Shop-Access-Token: x"\n', "headers"),
		('endpoint = "/a"\nheaders = "x-api-key: x"\n', "headers"),
		('endpoint = "/a"\nbody_format = "JSON"\nbody = "{}"\n', "body_format"),
		('endpoint = "/a"\nmethod = "POST"\nbody_format = "JSON"\nbody = "{"\n', "body"),
		('endpoint = "/a"\nmethod = "PUT"\n', "method"),
		('endpoint = "/a"\nwindow = "1x"\nwindow_start = "2026-01-01"\n', "window"),
		('endpoint = "/a"\nwindow = "1d"\n', "window_start"),
		('endpoint = "/a"\nflatten_path = "a["\n', "flatten_path"),
		(f'{CHILD}parent_source = "Cache"\n', "parent_source"),
		(f'{CHILD}parent_source = "Bound Records"\nparent_changed_only = true\n', "parent_changed_only"),
	],
)
def test_wrong_settings_are_refused_by_field(hub, text, field):
	with pytest.raises(HubError) as refused, hub(lambda path, query: [], settings(text)):
		raise AssertionError("it was taken")
	assert refused.value.field == field


@pytest.mark.parametrize(
	("path", "record", "keys"),
	[
		("v", {"v": []}, []),
		("v", {"v": None}, []),
		("v", {}, []),
		("a.v", {"a": None}, []),
		("v", {"v": {}}, []),
		("v", {"v": {"x": {"id": 1}, "y": {"id": 2}}}, ["x1", "y2"]),
		("v", {"v": {"x": 1, "y": None}}, ["x", "y"]),
		("v", {"v": {"x": [{"id": 1}, {"id": 2}], "y": [], "z": [{"id": 1}]}}, ["x1", "x2", "z1"]),
		("v", {"v": {"x": [1, 2]}}, ["x"]),
		("values(v)", {"v": {"x": {"id": 1}, "y": {"id": 2}}}, ["1", "2"]),
		("v[]", {"v": [{"id": 1}]}, ["1"]),
		(
			"v[].p[]",
			{"v": [{"p": [{"id": 1}, {"id": 2}]}, {"p": []}, {}, {"p": [{"id": 3}]}]},
			["1", "2", "3"],
		),
		("v[].p", {"v": [{"p": {"x": {"id": 1}}}, {"p": {"x": {"id": 2}}}]}, ["x1", "x2"]),
		("v[?on].p[]", {"v": [{"on": True, "p": [{"id": 1}]}, {"on": False, "p": [{"id": 2}]}]}, ["1"]),
	],
)
def test_records_within_records_in_their_corners(path, record, keys):
	found = list(flattened([record], path))
	assert [f"{one.get('key', '')}{one.get('id', '')}" for one in found] == keys


def test_each_level_has_the_one_around_it_in_reach():
	record = {"title": "Shirt", "v": [{"size": "L", "p": [{"id": 1}]}]}
	[found] = flattened([record], "v[].p[]")
	assert (found["^"]["size"], found["^"]["^"]["title"]) == ("L", "Shirt")


def test_parents_may_be_what_is_bound_here(hub):
	source = Shops()
	bound = 'parent_source = "Bound Records"\n'
	text = (
		settings(CHILD + bound)
		.replace("enabled = false\n", "")
		.replace('thing = "key"', "thing = \"join('/', [key, ^.id])\"", 1)
	)
	with hub(source, text) as (server, runtime):
		row = run_stream(runtime, "things")
		assert "never fetched to its end" in row["error"] and not server.asked
		run_stream(runtime, "shops")
		server.sent.clear()
		row = run_stream(runtime, "things")
		assert (row["status"], row["error"], row["created"]) == ("Completed", None, 15)
		assert {path for _m, path, _h, _b in server.sent} == {f"/shops/{n}/things" for n in range(1, 6)}
		assert "2-1/2" in found(runtime)
		source.shops = 3
		runtime.db.execute(
			"UPDATE `tabExternal Record` SET `status` = 'Deleted' WHERE `stream` = 'shops' AND `external_id` > '3'"
		)
		assert run_stream(runtime, "things")["deleted"] == 6


def test_a_bound_parent_has_the_fields_that_are_mapped_as_they_are(hub):
	def answer(path, query):
		if path == "/shops":
			return {"data": [{"id": 7, "at": {"slug": "a b"}}]} if query.get("page") == "1" else {"data": []}
		return {"data": [{"key": path}]}

	text = settings(CHILD + 'parent_source = "Bound Records"\n').replace("{parent.id}", "{parent.at.slug}")
	text = text.replace("enabled = false\n", "")
	text = text.replace('[stream.shops.mapping]\nthing = "id"', '[stream.shops.mapping]\nthing = "at.slug"')
	with hub(answer, text) as (_server, runtime):
		run_stream(runtime, "shops")
		row = run_stream(runtime, "things")
		assert row["status"] == "Completed", row["error"]
		assert "/shops/a%20b/things" in found(runtime)


def test_an_event_of_the_outer_record_is_flattened_alike(hub):
	text = 'endpoint = "/products"\nid_path = "id"\nflatten_path = "variants"\n'
	text = settings(text).replace('thing = "key"', "thing = \"join('/', [^.title, to_string(id)])\"", 1)
	text += '\n[[integration.source.routes]]\nevent_pattern = "*"\naction = "Upsert Record"\nstream = "things"\nrecord_path = ""\n'
	product = {"id": 1, "title": "Shirt", "variants": [{"id": 11}, {"id": 12}]}
	with hub(lambda path, query: [product], text) as (_server, runtime):
		run_stream(runtime, "things")
		product["title"] = "Blouse"
		product["variants"] = [{"id": 12}, {"id": 13}]
		row = {
			"name": new_id(),
			"integration": "source",
			"event_type": "products/update",
			"payload": json.dumps(product),
		}
		with runtime.db.transaction():
			Handling(runtime, Redactor()).handle(row, load_routes(runtime, "source")[0])
		assert found(runtime) == ["Blouse/12", "Blouse/13", "Shirt/11"]


@pytest.mark.parametrize("payload", [{"id": 1}, {"id": 1, "variants": []}, {"id": 1, "variants": None}])
def test_a_deletion_that_does_not_say_which_records_are_gone_fails_by_name(hub, payload):
	text = 'endpoint = "/products"\nid_path = "id"\nflatten_path = "variants"\n'
	text = settings(text).replace('thing = "key"', 'thing = "to_string(id)"', 1)
	text += '\n[[integration.source.routes]]\nevent_pattern = "*"\naction = "Delete Record"\nstream = "things"\nrecord_path = ""\n'
	product = {"id": 1, "variants": [{"id": 11}, {"id": 12}]}
	row = {"name": new_id(), "integration": "source", "event_type": "products/delete", "unsigned": ""}
	with hub(lambda path, query: [product], text) as (_server, runtime):
		run_stream(runtime, "things")
		[route], handling = load_routes(runtime, "source"), Handling(runtime, Redactor())
		with (
			pytest.raises(HandlerFailed, match="flatten_path 'variants'.*Start Sync"),
			runtime.db.transaction(),
		):
			handling.handle({**row, "payload": json.dumps(payload)}, route)
		assert found(runtime) == ["11", "12"]
		with runtime.db.transaction():
			handling.handle({**row, "payload": json.dumps({**product, "variants": [{"id": 12}]})}, route)
		assert found(runtime) == ["11"]


def test_windows_of_time_prove_nothing_about_what_is_gone(hub):
	found = [{"key": "old"}, {"key": "new"}]
	text = 'endpoint = "/things"\nid_path = "key"\nparams = "from={since:date}"\nstable_pages = true\n'
	text += 'window = "4w"\nwindow_start = "2026-01-01"\nwindow_end = "2026-01-20"\n'
	with hub(lambda path, query: found, settings(text)) as (_server, runtime):
		run_stream(runtime, "things")
		found[:] = found[1:]  # what was dated back, or to a time to come, is in no window
		assert run_stream(runtime, "things")["deleted"] == 0


DAYS = (
	'endpoint = "/things"\nid_path = "key"\nupdated_at_path = "at"\noverlap_seconds = 0\n'
	'params = "from={since:date}\\nto={until:date}"\nwindow = "1d"\nwindow_start = "2026-01-01"\n'
	'window_end = "2026-01-06"\n'
)


class Days:
	"""A source of windows. broken: the days that fail."""

	def __init__(self):
		self.rows = [{"key": f"k{n}", "at": f"2026-01-0{1 + n // 2}T1{n % 2}:00:00Z"} for n in range(10)]
		self.broken: set[str] = set()

	def __call__(self, path, query):
		if query["from"] in self.broken:
			return 500, {}, {}
		found = [row for row in self.rows if query["from"] <= row["at"][:10] < query["to"]]
		return found[int(query["page"]) - 1 :][:1] if "page" in query else found


@pytest.mark.parametrize("stable", ["", 'stable_pages = true\npagination = "Page Number"\npage_size = 1\n'])
def test_a_watermark_is_behind_the_windows_that_are_whole(hub, stable):
	source = Days()
	with hub(source, settings(DAYS + stable), "Incremental") as (server, runtime):
		source.broken = {"2026-01-03"}
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed"
		assert row["checkpoint_after"] == "2026-01-02T11:00:00.000000Z"
		assert "k8" in found(runtime), "the windows behind the one that failed are fetched all the same"
		source.broken = set()
		server.asked.clear()
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert min(query["from"] for query in server.asked) == "2026-01-02"
		assert found(runtime) == sorted(row["key"] for row in source.rows)
		assert run_stream(runtime, "things")["checkpoint_after"] == "2026-01-05T11:00:00.000000Z"


def test_pages_of_a_window_that_may_shift_move_no_watermark_by_themselves(hub):
	source = Days()
	text = DAYS + 'pagination = "Page Number"\npage_size = 1\n'
	with hub(source, settings(text), "Incremental") as (_server, runtime):
		source.broken = {"2026-01-03"}
		assert run_stream(runtime, "things")["checkpoint_after"] in (None, "")
		source.broken = set()
		assert run_stream(runtime, "things")["checkpoint_after"] == "2026-01-05T11:00:00.000000Z"
		assert found(runtime) == sorted(row["key"] for row in source.rows)


def test_the_windows_of_the_second_pass_move_the_watermark(hub):
	source = Days()
	asked = []

	def answer(path, query):
		asked.append(query)
		if len(asked) > 18 and query["from"] == "2026-01-04":
			return 500, {}, {}
		return source(path, query)

	text = DAYS + 'pagination = "Page Number"\npage_size = 1\n'
	with hub(answer, settings(text), "Incremental") as (_server, runtime):
		row = run_stream(runtime, "things")
		assert (row["status"], row["checkpoint_after"]) == ("Failed", "2026-01-04T00:00:00.000000Z")


def test_a_time_behind_its_window_moves_the_watermark_to_the_end_of_the_window_at_most(hub):
	source = Days()
	source.rows[0]["at"], source.broken = "2026-01-01T10:00:00Z", {"2026-01-02"}

	def answer(path, query):
		rows = source(path, query)
		return [{**row, "at": "2026-01-05T00:00:00Z"} for row in rows] if isinstance(rows, list) else rows

	with hub(answer, settings(DAYS), "Incremental") as (_server, runtime):
		assert run_stream(runtime, "things")["checkpoint_after"] == "2026-01-02T00:00:00.000000Z"


def test_a_parent_that_moved_to_the_front_meanwhile_is_not_passed_over(hub):
	shops, asked = ["b", "c", "d"], []

	def answer(path, query):
		if path == "/shops":
			return {"data": [{"id": name} for name in shops]} if query.get("page") == "1" else {"data": []}
		asked.append(path)
		if len(asked) == 2:
			return 429, {"Retry-After": "1"}, {}
		return {"data": [{"key": path.split("/")[2]}]}

	with hub(answer, settings(CHILD)) as (_server, runtime):
		assert run_stream(runtime, "things")["status"] == "Postponed"
		shops.insert(0, "a")
		time.sleep(1.1)
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == ["a", "b", "c", "d"]


def test_a_watermark_waits_for_all_lists(hub):
	broken = {"now": True}

	def answer(path, query):
		if path == "/shops":
			return {"data": [{"id": 1}, {"id": 2}]} if query.get("page") == "1" else {"data": []}
		if path.startswith("/shops/2") and broken["now"]:
			return 500, {}, {}
		records = (
			[{"key": "late", "at": "2026-05-01"}] if "/1/" in path else [{"key": "early", "at": "2026-01-01"}]
		)
		return {"data": [r for r in records if r["at"] >= query.get("modified_since", "")[:10]]}

	text = CHILD + 'updated_at_path = "at"\nordered = true\nstable_pages = true\n'
	with hub(answer, settings(text), "Incremental") as (_server, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and row["checkpoint_after"] in (None, "")
		broken["now"] = False
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == ["early", "late"]


def test_a_parent_of_another_system_is_refused(hub):
	text = settings(CHILD).replace(
		'[stream.shops]\nintegration = "source"', '[stream.shops]\nintegration = "other"'
	)
	text += '\n[integration.other]\nbase_url = "http://127.0.0.1:9"\n'
	with hub(Shops(), text) as (server, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and "'other'" in row["error"]
		assert not server.asked
