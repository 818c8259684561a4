"""Rules of a stream: which records are skipped, what is only created or only updated, links that lead nowhere, matches."""

from __future__ import annotations

import pytest

from integration_hub.stores.fields import Field
from integration_hub.stores.runtime import HubError
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.mapping import Mapper
from integration_hub.sync.run import run_stream
from integration_hub.sync.stream_checks import StreamContext, stream_problems
from tests.compare import errors

TASKS = """
[stream.tasks]
integration = "crm"
mode = "Full"
endpoint = "/v1/tasks"
records_path = "data"
target_doctype = "Chore"
deletion_policy = "Delete"
%s

[stream.tasks.mapping]
title = "title"
city = "city"
note = { source_path = "note", only = "On Create" }
hours = { source_path = "hours", only = "If Blank" }
customer = { source_path = "customer", conversion = "Link", argument = "customer_id", if_not_found = "%s", default_value = "%s" }
party_type = "kind"
party = { source_path = "party", conversion = "Link", argument = "Sandbox Customer = customer_id\\nChore = stream:tasks", if_not_found = "Skip Record" }

[table.Chore]
title = { fieldtype = "Data", reqd = 1 }
city = "Data"
note = "Data"
hours = "Float"
customer = { fieldtype = "Link", options = "Sandbox Customer" }
party_type = "Data"
party = { fieldtype = "Dynamic Link", options = "party_type" }
"""


@pytest.fixture
def tasks(crm, make_runtime):
	"""Return what makes a runtime with a stream of chores, and the records that its source has."""

	def make(settings: str = "", fallback: str = "Use Default", default: str = ""):
		rows = [
			{"id": n, "title": f"T{n}", "city": "Ulm", "note": f"n{n}", "hours": n, "state": "open"}
			for n in (1, 2, 3)
		]
		crm.lists["tasks"] = rows
		text = TASKS % (settings, fallback, default)
		return make_runtime(("# Every customer", text + "\n# Every customer")), rows

	return make


def stored(runtime, *fields: str) -> list[tuple]:
	columns = ", ".join(f"`{field}`" for field in fields)
	return [
		tuple(row.values()) for row in runtime.db.query(f"SELECT {columns} FROM `tabChore` ORDER BY `title`")
	]


def statuses(runtime) -> dict[str, str]:
	rows = runtime.db.query(
		"SELECT `external_id`, `status` FROM `tabExternal Record` WHERE `stream` = 'tasks'"
	)
	return {row["external_id"]: row["status"] for row in rows}


def counts(run) -> tuple:
	return tuple(run[name] for name in ("created", "updated", "unchanged", "deleted", "failed"))


def add(runtime, title: str, **values: str) -> None:
	columns = ", ".join(f"`{name}`" for name in ("name", "title", *values))
	marks = ", ".join(["%s"] * (2 + len(values)))
	with runtime.db.transaction():
		runtime.db.execute(
			f"INSERT INTO `tabChore` ({columns}, `creation`) VALUES ({marks}, '2026-01-01')",
			[title.lower(), title, *values.values()],
		)


def test_a_skipped_record_is_not_written_and_its_document_stays(tasks):
	runtime, rows = tasks("skip_when = \"state == 'draft'\"")
	rows[0]["state"] = "draft"
	first = run_stream(runtime, "tasks")
	assert counts(first) == (2, 0, 1, 0, 0) and "1 records were skipped" in first["error"]
	assert set(statuses(runtime)) == {"2", "3"}
	rows[1].update(state="draft", title="Other")
	rows[0]["state"] = "open"
	assert counts(run_stream(runtime, "tasks")) == (1, 0, 2, 0, 0), "2 is in the list: it is not deleted"
	assert stored(runtime, "title") == [("T1",), ("T2",), ("T3",)]
	rows[1]["state"] = "open"
	assert run_stream(runtime, "tasks")["updated"] == 1


def test_a_rule_that_does_not_fit_a_record_fails_it_alone(tasks):
	runtime, rows = tasks("skip_when = \"starts_with(state, 'd')\"")
	rows[0]["state"] = 7
	assert counts(run_stream(runtime, "tasks")) == (2, 0, 0, 0, 1)
	assert "skip_when" in errors(runtime)[0]["message"]


def test_a_record_that_failed_and_is_skipped_now_waits_no_more(tasks):
	runtime, rows = tasks("skip_when = \"state == 'draft'\"")
	rows[0]["title"] = ""
	assert run_stream(runtime, "tasks")["failed"] == 1
	rows[0]["state"] = "draft"
	assert run_stream(runtime, "tasks")["failed"] == 0
	assert "Failed" not in statuses(runtime).values()
	rows[0].update(state="open", title="T1")
	assert run_stream(runtime, "tasks")["created"] == 1


def test_create_only_leaves_what_is_there(tasks):
	runtime, rows = tasks('writes = "Create Only"\nmatch_field = "title"')
	add(runtime, "T1", city="Bonn")
	assert counts(run_stream(runtime, "tasks")) == (2, 0, 1, 0, 0)
	assert statuses(runtime) == dict.fromkeys("123", "Bound"), "what was there is bound, for links to it"
	for row in rows:
		row["city"] = "Kiel"
	rows.append({"id": 4, "title": "T4", "city": "Kiel"})
	assert counts(run_stream(runtime, "tasks")) == (1, 0, 3, 0, 0)
	assert stored(runtime, "city") == [("Bonn",), ("Ulm",), ("Ulm",), ("Kiel",)]


def test_update_only_makes_no_documents(tasks):
	runtime, rows = tasks('writes = "Update Only"\nmatch_field = "title"')
	add(runtime, "T2", city="Bonn")
	assert counts(run_stream(runtime, "tasks")) == (0, 1, 2, 0, 0)
	assert stored(runtime, "title", "city") == [("T2", "Ulm")]
	rows[1]["city"] = "Kiel"
	assert counts(run_stream(runtime, "tasks")) == (0, 1, 2, 0, 0)


def test_a_field_is_set_only_on_create_or_only_where_it_is_blank(tasks):
	runtime, rows = tasks()
	rows[0]["hours"] = None
	run_stream(runtime, "tasks")
	for number, row in enumerate(rows):
		row.update(note="other", hours=10 + number, city="Kiel")
	assert run_stream(runtime, "tasks")["updated"] == 3
	want = [("Kiel", "n1", 10.0), ("Kiel", "n2", 2.0), ("Kiel", "n3", 3.0)]
	assert stored(runtime, "city", "note", "hours") == want
	assert run_stream(runtime, "tasks")["unchanged"] == 3


@pytest.mark.parametrize(
	("fallback", "default", "outcome", "customer"),
	[
		("Use Default", "", (3, 0, 0, 0, 0), None),
		("Use Default", "CUST-000001", (3, 0, 0, 0, 0), "CUST-000001"),
		("Skip Record", "", (2, 0, 1, 0, 0), None),
		("", "", (2, 0, 0, 0, 1), None),
	],
)
def test_a_link_that_leads_nowhere_has_a_fallback(tasks, fallback, default, outcome, customer):
	runtime, rows = tasks("", fallback, default)
	run_stream(runtime, "customers-full")
	for row in rows:
		row["customer"] = "CUST-000002"
	rows[0]["customer"] = "nobody"
	assert counts(run_stream(runtime, "tasks")) == outcome
	names = {
		row["name"]: row["customer_id"] for row in runtime.db.query("SELECT * FROM `tabSandbox Customer`")
	}
	found = [names.get(name) for (name,) in stored(runtime, "customer")]
	assert found == ([customer, "CUST-000002", "CUST-000002"] if outcome[0] == 3 else ["CUST-000002"] * 2)


def test_a_dynamic_link_is_found_by_the_doctype_beside_it(tasks):
	runtime, rows = tasks()
	run_stream(runtime, "customers-full")
	run_stream(runtime, "tasks")
	rows[0].update(kind="Sandbox Customer", party="CUST-000003")
	rows[1].update(kind="Chore", party="3")
	rows[2].update(kind="Supplier", party="3")
	run = run_stream(runtime, "tasks")
	assert (run["updated"], run["failed"]) == (2, 1)
	assert "party_type is 'Supplier'" in errors(runtime)[0]["message"]
	parties = dict(stored(runtime, "title", "party"))
	sql = "SELECT `name` FROM `tabSandbox Customer` WHERE `customer_id` = 'CUST-000003'"
	assert parties["T1"] == runtime.db.query(sql)[0]["name"]
	assert parties["T2"] == runtime.db.query("SELECT `name` FROM `tabChore` WHERE `title` = 'T3'")[0]["name"]


def test_documents_are_matched_by_several_fields_together(tasks):
	runtime, rows = tasks('match_field = "title"\nmatch_more = "city, note"')
	add(runtime, "T1", city="Ulm", note="n1")
	add(runtime, "T2", city="Bonn", note="n2")
	rows[2]["note"] = None
	add(runtime, "T3", city="Ulm", note="")
	run = run_stream(runtime, "tasks")
	assert run["created"] == 2, "T2 is in another city, and T3 has no note to go by"
	assert len(stored(runtime, "title")) == 5
	assert counts(run_stream(runtime, "tasks"))[:2] == (0, 0)


FIELDS = {
	"title": Field("Data"),
	"customer": Field("Link", "Customer"),
	"party_type": Field("Data"),
	"party": Field("Dynamic Link", "party_type"),
	"items": Field("Table", "Item", fields={"sku": Field("Data")}),
}
AROUND = StreamContext(
	{},
	lambda doctype: {"email": Field("Data")} if doctype == "Customer" else {},
	lambda stream: {"customers": "Customer"}.get(stream, ""),
)


@pytest.mark.parametrize(
	("rows", "settings", "says"),
	[
		(
			[FieldMapping("a", "title", only="Sometimes")],
			{},
			("mapping", "'title': 'Sometimes' is not one of"),
		),
		(
			[FieldMapping("a", "items", "Rows"), FieldMapping("a", "items.sku", only="On Create")],
			{},
			("mapping", "'items.sku': Only is for fields of the document"),
		),
		(
			[FieldMapping("a", "title", if_not_found="Skip Record")],
			{},
			("mapping", "only for the conversion Link"),
		),
		(
			[FieldMapping("a", "party", "Link", "Customer = email")],
			{},
			("mapping", "'party_type' is not mapped"),
		),
		(
			[FieldMapping("a", "customer", "Link", "Customer = email")],
			{},
			("mapping", "is not a Dynamic Link"),
		),
		(
			[FieldMapping("a", "party", "Link", "Customer = town"), FieldMapping("k", "party_type")],
			{},
			("mapping", "Customer has no field 'town'"),
		),
		(
			[FieldMapping("a", "party", "Link", "Lead = stream:customers"), FieldMapping("k", "party_type")],
			{},
			("mapping", "makes Customer, not Lead"),
		),
		(
			[FieldMapping("a", "title")],
			{"match_field": "title", "match_more": "town"},
			("match_more", "'town' is not mapped"),
		),
		([FieldMapping("a", "title")], {"writes": "Nothing"}, ("writes", "is not one of")),
		([FieldMapping("a", "title")], {"skip_when": "a ==="}, ("skip_when", "not a JMESPath expression")),
	],
)
def test_a_wrong_rule_is_refused_by_its_field(rows, settings, says):
	stream = StreamConfig("s", endpoint="/x", target_doctype="Order", mapping=tuple(rows), **settings)
	problems = stream_problems(stream, FIELDS, AROUND)
	assert any(field == says[0] and says[1] in sentence for field, sentence in problems), problems


@pytest.mark.parametrize(
	("settings", "field"),
	[
		('after_writing = "Submit"', "after_writing"),
		('cancel_when = "cancelled_at"', "cancel_when"),
		('submitted_documents = "Amend"', "submitted_documents"),
		('mapper = "erpnext.x.make"\nmade_from = "customers-full"', "mapper"),
	],
)
def test_without_a_bench_nothing_is_submitted(tasks, settings, field):
	with pytest.raises(HubError, match="only for documents of a Frappe site") as refused:
		tasks(settings)
	assert refused.value.field == field


def test_without_a_bench_nothing_is_cancelled(crm, make_runtime):
	with pytest.raises(HubError, match="only for documents of a Frappe site"):
		make_runtime(('deletion_policy = "Delete"', 'deletion_policy = "Cancel"'))


@pytest.mark.parametrize(
	("settings", "says"),
	[
		({"after_writing": "Print"}, ("after_writing", "is not one of")),
		({"submitted_documents": "Print"}, ("submitted_documents", "is not one of")),
		({"submit_when": "paid"}, ("submit_when", "has no use")),
		({"after_writing": "Submit", "write_mode": "Bulk"}, ("after_writing", "is not for Bulk")),
		({"deletion_policy": "Cancel", "write_mode": "Bulk"}, ("deletion_policy", "is not for Bulk")),
		({"mapper": "a.b"}, ("made_from", "needs the name of another stream")),
		({"mapper": "a.b", "made_from": "nope"}, ("made_from", "needs the name of another stream")),
		({"made_from": "customers"}, ("made_from", "has no use")),
		({"mapper": "a.b", "made_from": "customers", "write_mode": "Bulk"}, ("mapper", "is not for Bulk")),
		({"cancel_when": "a ==="}, ("cancel_when", "not a JMESPath expression")),
	],
)
def test_wrong_settings_of_submitting_are_refused_by_field(settings, says):
	stream = StreamConfig(
		"s", endpoint="/x", target_doctype="Order", mapping=(FieldMapping("a", "title"),), **settings
	)
	problems = stream_problems(stream, FIELDS, AROUND)
	assert any(field == says[0] and says[1] in sentence for field, sentence in problems), problems


def test_the_state_of_a_record_counts_as_its_content():
	stream = StreamConfig(
		"s",
		mapping=(FieldMapping("t", "title"),),
		after_writing="Submit",
		submit_when="paid",
		cancel_when="gone",
	)
	mapper = Mapper(stream, str)
	found = [
		mapper.map({"id": 1, "t": "x", **more}) for more in ({}, {"paid": True}, {"paid": True, "gone": 1})
	]
	assert [one.state for one in found] == ["", "submit", "cancel"]
	assert len({one.content_hash for one in found}) == 3
	plain = Mapper(StreamConfig("s", mapping=stream.mapping), str).map({"id": 1, "t": "x"})
	assert plain.content_hash == found[0].content_hash, "streams that submit nothing keep their hashes"
