"""Fields that an outbound stream reads, whichever setting names them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.fields_read import fields_read
from integration_hub.stores.fields import Field
from integration_hub.sync.config import FieldMapping

LINES = Field("Table", "Line", fields={"sku": Field("Data"), "cost": Field("Currency")})
FIELDS = {name: Field("Data") for name in ("title", "city", "margin")} | {
	"secret": Field("Password"),
	"lines": LINES,
}
ALL = ("title", "city", "margin", "lines", "lines.sku", "lines.cost")
TITLE = FieldMapping(source_path="title", field="title")


@pytest.mark.parametrize(
	("settings", "read"),
	[
		({}, ("title",)),
		({"mapping": ()}, ALL),
		({"headers": "X-Margin: {doc.margin}"}, ("title", "margin")),
		({"create_path": "/x/{doc.city|none}"}, ("title", "city")),
		({"lookup_path": "/x?c={doc.city:lower}"}, ("title", "city")),
		({"delete_path": "/x/{id}/{doc.city}"}, ("title", "city")),
		({"event_type": "{doc.city}.{operation}"}, ("title", "city")),
		({"send_body": json.dumps({"a": ["{doc.margin}"], "p": "{payload}"})}, ("title", "margin")),
		(
			{"send_body": json.dumps({"a": "{doc.lines.^.cost}"})},
			("title", "lines", "lines.sku", "lines.cost"),
		),
		({"send_body": json.dumps({"a": "{doc}"})}, ALL),
		({"out_filters": json.dumps([["Person", "margin", ">", 1]])}, ("title", "margin")),
		({"out_filters": json.dumps([["Line", "cost", ">", 1]])}, ("title", "lines.cost")),
		(
			{"out_condition": "length(lines[?cost > `3`]) > `0` && !city"},
			("title", "city", "lines", "lines.cost"),
		),
		({"out_condition": "{a: @.margin}.a"}, ("title", "margin")),
		(
			{"mapping": (FieldMapping(source_path="x", default_value="{title} {doc.city}"),)},
			("title", "city"),
		),
		(
			{"mapping": (FieldMapping("lines", "lines", "Rows"), FieldMapping("sku", "lines.sku"))},
			("lines", "lines.sku"),
		),
		({"headers": "X: {doc.margin", "out_filters": "[", "out_condition": "a ||"}, ("title",)),
		({"send_body": "{", "headers": "X: {doc.secret}"}, ("title",)),
	],
)
def test_each_setting_that_names_a_field_reads_it(settings: dict[str, Any], read: tuple[str, ...]) -> None:
	stream = OutboundStream("s", endpoint="/x", **{"mapping": (TITLE,), **settings})
	assert sorted(fields_read(stream, FIELDS)) == sorted(read)


@pytest.mark.parametrize("condition", ["contains(values(@), 'x')", "to_string(@) == 'x'", "*", "@"])
def test_a_condition_about_the_whole_document_reads_all(condition: str) -> None:
	stream = OutboundStream("s", endpoint="/x", mapping=(TITLE,), out_condition=condition)
	assert sorted(fields_read(stream, FIELDS)) == sorted(ALL)
