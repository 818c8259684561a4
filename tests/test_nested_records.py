"""Records within records: the outer one in reach of child rows, filters and ids, in lists and in events alike."""

from __future__ import annotations

import pytest

from integration_hub.stores.fields import Field
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.mapping import Mapper, MappingError
from integration_hub.sync.run import run_stream
from integration_hub.sync.stream_checks import StreamContext, stream_problems
from integration_hub.webhooks.drain import drain
from tests.webhook_sender import Sender

VARIANTS = """
[stream.variants]
integration = "crm"
mode = "Full"
endpoint = "/v1/products"
records_path = "data"
flatten_path = "variants"
id_path = "{^.id}-{id}"
skip_when = "^.status == 'draft'"
target_doctype = "Variant"
deletion_policy = "Delete"

[stream.variants.mapping]
sku = "concat(^.id, '/', sku)"
product = "^.title"
prices = { source_path = "prices", conversion = "Rows" }
"prices.amount" = "amount"
"prices.sku" = "^.sku"
"prices.product" = "^.^.title"

[table.Variant]
sku = "Data"
product = "Data"
prices = { fieldtype = "Table", options = "Variant Price" }

[table."Variant Price"]
amount = "Float"
sku = "Data"
product = "Data"
"""
FIRST = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'
ROUTE = (
	'[[integration.crm.routes]]\nevent_pattern = "products.*"\nstream = "variants"\nrecord_path = "data"\n\n'
)


def product(number: int, *variants: int, **values) -> dict:
	listed = [{"id": n, "sku": f"S{n}", "prices": [{"amount": n}, {"amount": n + 0.5}]} for n in variants]
	return {"id": number, "title": f"P{number}", "variants": listed, **values}


@pytest.fixture
def sender(crm, make_runtime):
	crm.lists["products"] = []
	return Sender(
		make_runtime,
		(FIRST, ROUTE + FIRST),
		("# Every customer", VARIANTS + "\n# Every customer"),
		event_id_path="id",
		event_type_path="event",
	)


def stored(runtime) -> list[tuple]:
	sql = """SELECT v.`sku`, v.`product`, p.`amount`, p.`sku` AS `psku`, p.`product` AS `pp`
		FROM `tabVariant` v JOIN `tabVariant Price` p ON p.`parent` = v.`name` ORDER BY v.`sku`, p.`idx`"""
	return [tuple(row.values()) for row in runtime.db.query(sql)]


def ids(runtime) -> set[str]:
	sql = "SELECT `external_id` FROM `tabExternal Record` WHERE `stream` = 'variants' AND `status` = 'Bound'"
	return {row["external_id"] for row in runtime.db.query(sql)}


def test_a_list_and_an_event_make_the_same_of_nested_records(sender, crm):
	crm.lists["products"] = [product(1, 1, 2), product(2, 1), product(3, 9, status="draft")]
	assert run_stream(sender.runtime, "variants")["created"] == 3
	assert ids(sender.runtime) == {"1-1", "1-2", "2-1"}, "two products have a variant 1"
	listed = stored(sender.runtime)
	assert listed[:2] == [("1/S1", "P1", 1.0, "S1", "P1"), ("1/S1", "P1", 1.5, "S1", "P1")]
	for number, body in enumerate(crm.lists["products"]):
		sender.send({"id": number, "event": "products.update", "data": body})
	drain(sender.runtime, "crm")
	assert [row["status"] for row in sender.rows()] == ["Completed"] * 3
	assert (stored(sender.runtime), ids(sender.runtime)) == (listed, {"1-1", "1-2", "2-1"})
	sender.send({"id": 9, "event": "products.update", "data": product(1, 2, 3, title="New")})
	drain(sender.runtime, "crm")
	assert ids(sender.runtime) == {"1-1", "1-2", "1-3", "2-1"}
	assert ("1/S3", "New", 3.0, "S3", "New") in stored(sender.runtime)
	crm.lists["products"] = [product(1, 2, 3, title="New"), product(2, 1)]
	assert run_stream(sender.runtime, "variants")["deleted"] == 1
	assert ids(sender.runtime) == {"1-2", "1-3", "2-1"}


@pytest.mark.parametrize(
	("record", "expected"),
	[
		({"id": 1, "^": {"id": 7}}, "7-1"),
		({"id": "a-b", "^": {"id": "c"}}, "c-a-b"),
		({"id": 1.0, "^": {"id": 2**70}}, f"{2**70}-1"),
	],
)
def test_an_id_of_two_values(record, expected):
	assert Mapper(StreamConfig("s", id_path="{^.id}-{id}"), str).external_id(record) == expected


@pytest.mark.parametrize("inner", [None, "", True, [1], {"a": 1}, float("nan")])
def test_an_id_of_which_a_part_is_missing_is_none(inner):
	mapper = Mapper(StreamConfig("s", id_path="{^.id}-{id}"), str)
	with pytest.raises(MappingError, match="no id there"):
		mapper.external_id({"id": inner, "^": {"id": 7}})
	with pytest.raises(MappingError, match="no id there"):
		mapper.external_id({"id": 7})


def test_no_two_records_have_one_id_of_two_values():
	mapper = Mapper(StreamConfig("s", id_path="{a}-{b}"), str)
	assert mapper.external_id({"a": "x-y", "b": "z"}) != mapper.external_id({"a": "x", "b": "y-z"})


@pytest.mark.parametrize(
	("path", "says"),
	[("{^.id}{id}", "text between two paths"), ("{^.id", "not a JMESPath"), ("{a[}-{id}", "not a JMESPath")],
)
def test_a_wrong_id_path_is_refused_by_its_field(path, says):
	stream = StreamConfig(
		"s", endpoint="/x", target_doctype="T", id_path=path, mapping=(FieldMapping("a", "title"),)
	)
	context = StreamContext({}, lambda doctype: {}, lambda name: "")
	problems = stream_problems(stream, {"title": Field("Data")}, context)
	assert any(field == "id_path" and says in sentence for field, sentence in problems), problems
