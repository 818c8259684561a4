"""A document's code that fails over a record names the record and what it lacks."""

from __future__ import annotations

import pytest

from integration_hub.connectors.redact import Redactor
from integration_hub.stores.fields import Field
from integration_hub.stores.runtime import Written
from integration_hub.sync.dry_runs import preview
from integration_hub.sync.error_hints import NotSaved, explained
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.run import load_stream, run_stream
from tests.compare import errors
from tests.marking import begin

ROW = {"item_code": Field("Link", "Item", required=True), "qty": Field("Float"), "rate": Field("Currency")}
FIELDS = {
	"customer": Field("Link", "Customer", required=True),
	"title": Field("Data"),
	"discount": Field("Float"),
	"items": Field("Table", "Order Item", fields=ROW),
}


def failing(work) -> Exception:
	with pytest.raises(Exception) as caught:
		work()
	return caught.value


def test_the_fields_that_the_failed_line_names_are_named():
	row = {"qty": None, "rate": None}
	error = failing(lambda: row["qty"] * row["rate"])
	told = explained(error, "Order", {"customer": "C", "items": [{"item_code": "A"}]}, FIELDS)
	assert str(told) == (
		"Order could not be saved: its code failed with TypeError: unsupported operand type(s) for *: 'NoneType' and "
		"'NoneType'. The record has nothing for: items.qty, items.rate."
	)
	assert told.__cause__ is error and told.kind == "TypeError" and told.__traceback__ is not None


def test_a_table_without_rows_is_named_before_a_sum_over_them():
	document = {"total": None}
	error = failing(lambda: document["total"] * 1.0)
	fields = {**FIELDS, "total": Field("Currency")}
	told = explained(error, "Order", {"customer": "C", "items": []}, fields)
	assert told.missing == ["items", "total"]


def test_else_what_is_mapped_or_required():
	error = failing(lambda: [][5])
	told = explained(error, "Order", {"title": None, "items": [{"qty": 1, "rate": 2}]}, FIELDS)
	assert isinstance(told, NotSaved) and told.missing == ["customer", "title", "items.item_code"]
	assert "nothing for" not in str(
		explained(error, "Order", {"customer": "C", "title": "T"}, {"title": FIELDS["title"]})
	)


@pytest.mark.parametrize(
	"error", [ValueError("must be above zero"), OSError("x"), NotSaved(TypeError("x"), "A", [])]
)
def test_what_is_made_to_be_read_stays_as_it_is(error):
	assert explained(error, "Order", {}, FIELDS) is error


def test_the_failure_of_a_run_says_so(runtime, crm):
	stream = load_stream(runtime, "customers-full")
	writer = PageWriter(runtime, stream, Redactor(), mark=begin(runtime, stream.name), operation="Sync")

	def write(changes):
		city = None
		return [Written(None, failing(lambda: city + 1)) for _ in changes]

	writer.planner.target.write = write
	with runtime.db.transaction():
		writer.write([{"id": "CUST-9", "name": "Nine"}])
	assert writer.first_error.startswith(
		"CUST-9: Sandbox Customer could not be saved: its code failed with TypeError"
	)
	assert "nothing for: city" in writer.first_error
	[error] = errors(runtime)
	assert (error["kind"], error["external_id"]) == ("TypeError", "CUST-9")
	assert "nothing for: city" in error["message"] and "city + 1" in error["traceback"]
	[row] = runtime.db.query("SELECT `error` FROM `tabExternal Record`")
	assert "nothing for: city" in row["error"]


def test_a_preview_shows_links_as_they_would_be_written(make_runtime, crm):
	runtime = make_runtime(
		(
			"[stream.customers-incremental.mapping]\n",
			"[stream.customers-incremental.mapping]\n"
			'same = { source_path = "id", conversion = "Link", argument = "stream:customers-full" }\n',
		),
		(
			'[table."Sandbox Customer Change"]\n',
			'[table."Sandbox Customer Change"]\nsame = { fieldtype = "Link", options = "Sandbox Customer" }\n',
		),
	)
	found = preview(runtime, "customers-incremental", limit=2)
	assert all("there is no Sandbox Customer" in row["error"] for row in found)
	run_stream(runtime, "customers-full")
	found = preview(runtime, "customers-incremental", limit=2)
	names = {row["name"] for row in runtime.db.query("SELECT `name` FROM `tabSandbox Customer`")}
	assert [row["error"] for row in found] == ["", ""]
	assert {row["values"]["same"] for row in found} <= names
