"""Mapping: typed conversions, links, child tables, transforms; and what is refused, by name."""

from __future__ import annotations

import sys
import types
from datetime import datetime, timezone

import pytest

from integration_hub.stores.fields import Field
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.conversions import converter
from integration_hub.sync.link_conversions import Lookup, lookups
from integration_hub.sync.mapping import Mapper, MappingError
from integration_hub.sync.run import run_stream
from integration_hub.sync.stream_checks import StreamContext, stream_problems
from tests.compare import errors


def local_time(moment: datetime) -> str:
	return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def convert(value, conversion: str, argument: str = "", transforms=None):
	return converter(conversion, argument, local_time, transforms or {})(value)


@pytest.mark.parametrize(
	("value", "conversion", "argument", "expected"),
	[
		({"a": 1}, "", "", '{"a": 1}'),
		(12, "Text", "", "12"),
		("12", "Integer", "", 12),
		(12.0, "Integer", "", 12),
		("1.5", "Number", "", 1.5),
		("yes", "Check", "", 1),
		("2026-03-01T23:30:00Z", "Date", "", "2026-03-01"),
		("2026-03-01T23:30:00Z", "Date", "Europe/Berlin", "2026-03-02"),
		("2026-03-01", "Date", "Europe/Berlin", "2026-03-01"),
		("2026-03-01T12:00:00", "Datetime", "", "2026-03-01 12:00:00"),
		("2026-03-01T12:00:00", "Datetime", "Asia/Kolkata", "2026-03-01 06:30:00"),
		("2026-03-01T12:00:00+02:00", "Datetime", "Asia/Kolkata", "2026-03-01 10:00:00"),
		(1772366400, "Datetime", "", "2026-03-01 12:00:00"),
		("/Date(1772366400000+0100)/", "Datetime", "", "2026-03-01 12:00:00"),
		("/Date(-1)/", "Date", "", "1969-12-31"),
		("active", "Select Map", "active = Enabled\ninactive = Disabled", "Enabled"),
		(True, "Select Map", "true = Enabled\nfalse = Disabled", "Enabled"),
		("new", "Select Map", "active = Enabled\n* = Disabled", "Disabled"),
		(7, "Link", "customer_id", "7"),
	],
)
def test_conversions(value, conversion, argument, expected):
	assert convert(value, conversion, argument) == expected


@pytest.mark.parametrize(
	("value", "conversion", "argument", "says"),
	[
		("a lot", "Number", "", "not a number"),
		(float("nan"), "Number", "", "not a finite number"),
		(1.5, "Integer", "", "not a whole number"),
		("maybe", "Check", "", "neither true nor false"),
		("tomorrow", "Date", "", "not an ISO 8601 date"),
		("tomorrow", "Datetime", "", "not an ISO 8601 time"),
		("/Date(1.5)/", "Datetime", "", "not an ISO 8601 time"),
		("new", "Select Map", "active = Enabled", "not one of active"),
		({"id": 1}, "Link", "customer_id", "does not name a document"),
		("text", "Rows", "", "not a list of objects"),
	],
)
def test_values_that_do_not_fit(value, conversion, argument, says):
	with pytest.raises(ValueError, match=says):
		convert(value, conversion, argument)


FIELDS = {
	"title": Field("Data"),
	"status": Field("Select", "Open\nClosed"),
	"customer": Field("Link", "Customer"),
	"party": Field("Dynamic Link", "party_type"),
	"items": Field("Table", "Order Item", fields={"sku": Field("Data"), "qty": Field("Int")}),
}


AROUND = StreamContext(
	{},
	lambda doctype: {"email": Field("Data")} if doctype == "Customer" else {},
	lambda stream: {"customers": "Customer", "others": "Supplier"}.get(stream, ""),
)


@pytest.mark.parametrize(
	("row", "says"),
	[
		(FieldMapping("a", "town"), "has no field 'town'"),
		(FieldMapping("a[", "title"), "not a JMESPath expression"),
		(FieldMapping("", "title"), "neither a source path nor a default"),
		(FieldMapping("a", "title", "Colour"), "conversion 'Colour' is not one of"),
		(FieldMapping("a", "title", "Number", "2"), "takes no argument"),
		(FieldMapping("a", "title", "Datetime", "Mars/Olympus"), "not a time zone"),
		(FieldMapping("a", "status", "Select Map", "open"), "is not source = target"),
		(FieldMapping("a", "status", "Select Map"), "needs an argument"),
		(FieldMapping("a", "customer", "Link"), "needs an argument"),
		(FieldMapping("a", "title", "Link", "name"), "is not a Link field"),
		(FieldMapping("a", "customer", "Link", "town"), "Customer has no field 'town'"),
		(FieldMapping("a", "customer", "Link", "name` FROM `x"), "needs an argument"),
		(FieldMapping("a", "customer", "Link", "stream:nope"), "stream 'nope' does not exist"),
		(FieldMapping("a", "customer", "Link", "stream:others"), "makes Supplier, not Customer"),
		(FieldMapping("a", "party", "Link", "email"), "use stream:NAME"),
		(FieldMapping("a", "party", "Link", "stream:nope"), "stream 'nope' does not exist"),
		(FieldMapping("a", "title", "Python", "shout"), "no transform 'shout' is registered"),
		(FieldMapping("a", "title", "Rows"), "is not a table"),
		(FieldMapping("a", "items"), "is a table"),
		(FieldMapping("a", "items", "Rows"), "no field of table 'items' is mapped"),
		(FieldMapping("a", "items.sku"), "needs a row of its own"),
		(FieldMapping("a", "items.colour"), "has no field 'colour'"),
	],
)
def test_a_wrong_mapping_is_refused_by_name(row, says):
	stream = StreamConfig("s", endpoint="/x", target_doctype="Order", mapping=(row,))
	problems = stream_problems(stream, FIELDS, AROUND)
	assert [field for field, _ in problems] == ["mapping"] * len(problems)
	assert any(says in sentence for _, sentence in problems), problems


@pytest.mark.parametrize("name", ["customers", "others"])
def test_a_dynamic_link_leads_to_the_documents_of_any_stream(name):
	row = FieldMapping("a", "party", "Link", f"stream:{name}")
	stream = StreamConfig("s", integration="i", endpoint="/x", target_doctype="Order", mapping=(row,))
	assert [problem for problem in stream_problems(stream, FIELDS, AROUND) if problem[0] == "mapping"] == []
	assert lookups(stream, FIELDS) == [Lookup("party", "document", f"stream:{name}", row, "party_type")]


def mapper(*rows: FieldMapping, transforms=None) -> Mapper:
	return Mapper(StreamConfig("s", mapping=rows), local_time, transforms)


def test_a_record_that_does_not_fit_names_the_field():
	rows = (FieldMapping("lines", "items", "Rows"), FieldMapping("n", "items.qty", "Integer"))
	assert mapper(*rows).map({"id": 1, "lines": [{"n": "2"}]}).values == {"items": [{"qty": 2}]}
	assert mapper(*rows).map({"id": 1}).values == {"items": []}
	with pytest.raises(MappingError, match=r"^items.qty: 'x' is not a number"):
		mapper(*rows).map({"id": 1, "lines": [{"n": "x"}]})
	with pytest.raises(MappingError, match=r"^items: is not a list of objects"):
		mapper(*rows).map({"id": 1, "lines": ["x"]})


def test_the_hash_is_of_the_content_alone():
	one, two = FieldMapping("a", "title"), FieldMapping("b", "status")
	first = mapper(one, two).map({"id": 1, "a": "x", "b": "y"})
	assert first.content_hash == mapper(two, one).map({"id": 1, "b": "y", "a": "x", "c": 1}).content_hash
	assert first.content_hash != mapper(one, two).map({"id": 1, "a": "x", "b": "z"}).content_hash
	assert first.content_hash != mapper(one).map({"id": 1, "a": "x"}).content_hash
	moved = (FieldMapping("a", "status"), FieldMapping("b", "title"))
	assert first.content_hash != mapper(*moved).map({"id": 1, "a": "x", "b": "y"}).content_hash


def test_a_transform_gets_the_value_and_its_error_is_the_records(monkeypatch):
	module = types.ModuleType("acme_transforms")
	module.shout = lambda value: value.upper()
	monkeypatch.setitem(sys.modules, "acme_transforms", module)
	shout = FieldMapping("name", "title", "Python", "shout")
	loud = mapper(shout, transforms={"shout": "acme_transforms.shout"})
	assert loud.map({"id": 1, "name": "ada"}).values == {"title": "ADA"}
	with pytest.raises(MappingError, match="title: shout: AttributeError"):
		loud.map({"id": 1, "name": 5})


ORDERS = """
[stream.orders]
integration = "crm"
mode = "Full"
endpoint = "/v1/orders"
records_path = "data"
target_doctype = "Order"
deletion_policy = "Delete"

[stream.orders.mapping]
title = "title"
status = { source_path = "state", conversion = "Select Map", argument = "o = Open\\nc = Closed" }
customer = { source_path = "customer", conversion = "Link", argument = "%s" }
items = { source_path = "lines", conversion = "Rows" }
"items.sku" = "sku"
"items.qty" = { source_path = "n", conversion = "Integer" }

[table.Order]
title = { fieldtype = "Data", reqd = 1 }
status = { fieldtype = "Select", options = "Open\\nClosed" }
customer = { fieldtype = "Link", options = "Sandbox Customer" }
items = { fieldtype = "Table", options = "Order Item" }

[table."Order Item"]
sku = { fieldtype = "Data", length = 8 }
qty = "Int"
"""


@pytest.fixture
def orders(crm, make_runtime):
	"""Return a runtime with a stream of orders, and the orders its source has."""

	def make(by: str):
		rows = [
			{
				"id": n,
				"title": f"Order {n}",
				"state": "o",
				"customer": f"CUST-{n:06d}",
				"lines": [{"sku": f"S{line}", "n": line} for line in range(1, n + 1)],
			}
			for n in (1, 2, 3)
		]
		crm.lists["orders"] = rows
		return make_runtime(("# Every customer", ORDERS % by + "\n# Every customer")), rows

	return make


def stored(runtime) -> list[tuple]:
	rows = runtime.db.query("SELECT `name`, `title`, `status`, `customer` FROM `tabOrder` ORDER BY `title`")
	lines = "SELECT `sku`, `qty` FROM `tabOrder Item` WHERE `parent` = %s AND `parentfield` = 'items' ORDER BY `idx`"
	return [
		(
			row["title"],
			row["status"],
			row["customer"],
			[tuple(r.values()) for r in runtime.db.query(lines, [row["name"]])],
		)
		for row in rows
	]


@pytest.mark.parametrize("by", ["customer_id", "stream:customers-full"])
def test_links_and_child_tables_are_written_with_their_parent(orders, by):
	runtime, rows = orders(by)
	first = run_stream(runtime, "orders")
	assert (first["status"], first["failed"]) == ("Failed", 3), "their customers are not there yet"
	assert "there is no Sandbox Customer" in errors(runtime)[0]["message"]
	run_stream(runtime, "customers-full")
	assert run_stream(runtime, "orders")["created"] == 3
	customers = dict(
		tuple(row.values())
		for row in runtime.db.query("SELECT `customer_id`, `name` FROM `tabSandbox Customer`")
	)
	want = [
		(r["title"], "Open", customers[r["customer"]], [(line["sku"], line["n"]) for line in r["lines"]])
		for r in rows
	]
	assert stored(runtime) == want

	rows[2]["lines"] = [{"sku": "NEW", "n": 9}]
	assert run_stream(runtime, "orders")["updated"] == 1
	assert stored(runtime)[2][3] == [("NEW", 9)]
	assert run_stream(runtime, "orders")["unchanged"] == 3
	del rows[1]
	assert run_stream(runtime, "orders")["deleted"] == 1
	assert runtime.db.query("SELECT COUNT(*) AS `n` FROM `tabOrder Item`")[0]["n"] == 2


def test_bulk_refuses_by_name_what_a_field_cannot_hold_and_keeps_the_rest(orders):
	runtime, rows = orders("customer_id")
	run_stream(runtime, "customers-full")
	rows[0]["lines"][0]["sku"] = "TOO LONG A SKU"
	rows[1]["title"] = ""
	row = run_stream(runtime, "orders")
	assert (row["status"], row["created"], row["failed"]) == ("Partial", 1, 2)
	messages = sorted(error["message"] for error in errors(runtime))
	assert "items.sku: is 14 characters long, at most 8 fit" in messages[0]
	assert "title: is required" in messages[1]
	kept = runtime.db.query(
		"SELECT `external_id`, `error` FROM `tabExternal Record` WHERE `status` = 'Failed'"
	)
	assert {one["external_id"] for one in kept} == {"1", "2"} and all(one["error"] for one in kept)
