"""JMESPath of the settings on data from outside: the same results as the library's own, and no more than fits."""

from __future__ import annotations

import json

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from integration_hub.connectors.bounded_jmespath import PathError, PathTooCostly, path_problem, reader, search
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.rest import find_records
from integration_hub.runtime.standalone.apply_hub_toml import check
from integration_hub.sandbox.sender import make
from integration_hub.stores.runtime import HubError
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.mapping import Mapper, MappingError
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from tests.test_fuzz import values

RECORD = {"id": "ab", "text": "x" * 1000, "items": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": None}]}
# Just below what saving refuses.
BOMBS = (
	"{a:@,b:@}|" * 16 + "@",
	"[@,@]|" * 16 + "@",
	"[@,@][]|" * 16 + "@",
	"text|" + "[@,@]|join('',@)|" * 16 + "@",
	"to_string([@,@])|" * 16 + "@",
	"{a:@,b:@}|" * 16 + "to_string(@)",
	"[" + "{a:@,b:@}|" * 16 + "@][0]|length(to_string(@))",
	"to_array(text)[*].[" + ",".join(["@"] * 300) + "][]|[*].[" + ",".join(["@"] * 300) + "]",
	"[[" + "{a:@,b:@}|" * 15 + "@], [" + "{a:@,b:@}|" * 15 + "@]]|[0]==[1]",
	"text|" + "replace(@,'x',@)|" * 5 + "@",
	"text|" + "concat(@,@)|" * 16 + "@",
	"map(&" + "[" + ",".join(["@"] * 300) + "], [" + ",".join(["@"] * 300) + "])",
)
PATHS = (
	"items[*].{s: sku, q: qty}",
	"items[?qty > `0`].sku | [0]",
	"items[?sku == 'a' && qty].qty",
	"join(', ', items[*].sku)",
	"sort_by(items, &sku)[-1].sku",
	"merge(@, {id: text})",
	"length(items) == `2`",
	"contains(items[*].sku, 'a')",
	"items[].[sku, qty][]",
	"items[::-1].sku",
	"not_null(missing, id) || text",
	"!missing",
	"id > `1`",
	"items == items",
	"*.sku",
	"map(&[sku], items)",
	"`[1, 2]`",
	"to_number('12')",
)


@pytest.mark.parametrize("path", BOMBS)
def test_an_expression_that_multiplies_is_stopped(path):
	assert path_problem(path) is None, "stopped by its budget alone"
	with pytest.raises(PathTooCostly):
		search(path, RECORD)


@pytest.mark.parametrize(
	("path", "says"),
	[
		("{a:@,b:@}|" * 22 + "@", "copies"),
		("[[@,@][*].[@,@]]|" * 12 + "@", "copies"),
		("!" * 100 + "a", "nested"),
		("a || " * 1000 + "a", "longer"),
		("(" * 500 + "a" + ")" * 500, "expression"),
		("title(price)", "title()"),
		("a || map(&shorten(@), items)", "shorten()"),
		("stock > 30", "a number is written in backticks: `30`"),
		("state = 'a'", "equality is written =="),
	],
)
def test_an_expression_that_can_only_fail_or_multiply_is_refused_when_it_is_saved(path, says):
	assert says in path_problem(path)
	with pytest.raises(PathError):
		reader(path)


def test_what_came_may_be_large():
	page = {"data": [{**RECORD, "id": n, "text": "x"} for n in range(50_000)]}
	assert len(search("data[?id >= `10` && items].{id: id, items: items}", page)) == 49_990


@pytest.mark.parametrize("path", PATHS)
@given(record=values)
def test_it_finds_what_the_library_finds(path, record):
	for data in (record, {"items": record}, {"items": [record]}, RECORD):
		try:
			expected = jmespath.search(path, data)
		except (JMESPathError, TypeError, ValueError, ArithmeticError):
			with pytest.raises(PathError):
				search(path, data)
		else:
			assert repr(search(path, data)) == repr(expected)


@given(
	path=st.recursive(
		st.sampled_from(["@", "id", "text", "items", "`[1, 2, 3]`", "items[0]"]),
		lambda inner: st.builds("[{},{}]".format, inner, inner)
		| st.builds("{{a: {}, b: {}}}".format, inner, inner)
		| st.builds("{} | {}".format, inner, inner)
		| st.builds("to_array({})[*].{}".format, inner, st.just("[@, @]"))
		| st.builds("to_array({})[].[@, @][]".format, inner)
		| st.builds("join('', to_array(to_string({})))".format, inner)
		| st.builds("values({{a: {}}})".format, inner)
		| st.builds("merge({{c: {}}}, {{d: {}}})".format, inner, inner),
		max_leaves=40,
	)
)
def test_no_expression_makes_more_than_fits(path):
	if path_problem(path):
		return
	try:
		found = search(path, RECORD)
	except PathError:
		return
	assert len(json.dumps(found)) < 30_000_000


BOMB = BOMBS[0]


@pytest.mark.parametrize("field", ["id_path", "updated_at_path", "deleted_path", "mapping"])
def test_in_a_mapping_it_is_that_records_failure_by_name(field):
	settings = {"id_path": "id", field: (FieldMapping(BOMB, "mapping"),) if field == "mapping" else BOMB}
	mapper = Mapper(StreamConfig("s", **settings), lambda moment: moment.isoformat())
	with pytest.raises(MappingError, match=f"^{field}: the expression produces too much"):
		mapper.map(RECORD)


@pytest.mark.parametrize("path", [BOMB, "join(',', items)", "items > `1` || abs(text)"])
def test_in_an_answer_it_is_a_malformed_answer_by_name(path):
	with pytest.raises(MalformedAnswer, match="records_path"):
		find_records(RECORD, path)


@pytest.mark.parametrize("field", ["event_type_path", "event_id_path", "ordering_key_path", "record_path"])
def test_in_the_settings_of_an_integration_it_is_refused_by_name(make_runtime, field):
	runtime = make_runtime()
	settings = runtime.file.integrations["crm"]
	(settings["routes"][0] if field == "record_path" else settings)[field] = "{a:@,b:@}|" * 22 + "@"
	with pytest.raises(HubError, match="copies") as caught:
		check(runtime.file)
	assert field in str(caught.value)


def deliver(runtime):
	delivery = make("customer.updated", RECORD)
	headers = {name.lower(): value for name, value in delivery.headers.items()}
	return receive(runtime, Request("crm", "POST", headers, delivery.body))


def test_at_the_endpoint_it_is_the_settings_fault(make_runtime, caplog):
	runtime = make_runtime(('event_id_path = "id"', f'event_id_path = "{BOMB}"'))
	assert deliver(runtime).status == 503
	assert "the expression produces too much from its input" in caplog.text


def test_in_a_route_it_is_the_events_failure(make_runtime):
	runtime = make_runtime(('record_path = "data"', f'record_path = "{BOMB}"'))
	assert deliver(runtime).status == 200
	drain(runtime, "crm")
	[row] = runtime.db.query("SELECT `status`, `error` FROM `tabWebhook Log`")
	assert row["status"] == "Failed"
	assert row["error"].startswith("record_path") and "produces too much" in row["error"]


@pytest.mark.parametrize("path", ["join(a)", "join(',', a, a)", "join()"])
def test_a_function_with_too_few_or_too_many_arguments_says_so_in_the_words_of_the_language(path):
	with pytest.raises(PathError, match=r"join\(\)"):
		search(path, {"a": ["x"]})
