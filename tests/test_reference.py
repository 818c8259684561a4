"""docs/reference.md says what the doctypes say, and what the engine does where nothing is set."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.runtime.standalone.hub_toml import _HUB_KEYS
from integration_hub.stores.doctype_tables import NO_COLUMN, doctypes
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.run import run_stream
from scripts import reference
from tests.test_docs import blocks

CONFIGS = {
	"Integration Settings": IntegrationConfig,
	"Sync Settings": StreamConfig,
	"Sync Field Mapping": FieldMapping,
}


def test_the_page_is_as_its_script_makes_it():
	page = reference.PAGE.read_text()
	assert page == reference.renewed(page), "run: make reference"


def test_each_doctype_and_each_key_of_hub_is_there():
	sections = {section.doctype for section in (*reference.SETTINGS, *reference.LOGS)}
	assert sections == set(doctypes())
	assert reference.HUB_KEYS.keys() == _HUB_KEYS


@pytest.mark.parametrize("doctype", doctypes())
def test_each_field_has_a_row_and_a_description(doctype):
	section = next(s for s in (*reference.SETTINGS, *reference.LOGS) if s.doctype == doctype)
	listed = [f["fieldname"] for _, found in reference.groups(section) for f in found]
	for field in doctypes()[doctype]["fields"]:
		if field["fieldtype"] not in NO_COLUMN and not (section.table and field.get("read_only")):
			assert field["fieldname"] in listed
		if field["fieldname"] in listed:
			assert reference.described(field), f"{doctype}: {field['fieldname']} has no description"


@pytest.mark.parametrize("doctype", CONFIGS)
def test_a_setting_that_is_missing_is_the_same_in_desk_and_in_the_engine(doctype):
	described = {field["fieldname"]: field for field in doctypes()[doctype]["fields"]}
	for field in fields(CONFIGS[doctype]):
		if field.name not in described or field.default is MISSING:
			continue
		there = str(described[field.name].get("default") or "")
		here = (
			{True: "1", False: "0"}.get(field.default) if isinstance(field.default, bool) else field.default
		)
		if isinstance(here, int | float) or described[field.name]["fieldtype"] == "Check":
			assert float(there or 0) == float(here), field.name
		elif not described[field.name].get("reqd"):  # a form fills it in, and hub.toml has to
			assert there == (here or ""), field.name


@pytest.mark.parametrize(
	("condition", "words"),
	[
		("enabled", "*On* is on"),
		("eval:doc.path", "*Path* is set"),
		('eval:doc.kind=="A"', "*Kind* is `A`"),
		("eval:doc.kind != 'A'", "*Kind* is not `A`"),
		('eval:["A","B"].includes(doc.kind)', "*Kind* is `A` or `B`"),
		('eval:(doc.kind||"").startsWith("OAuth2")', "*Kind* begins with `OAuth2`"),
		('eval:(doc.enabled||doc.path)&&doc.kind=="A"', "*On* is on or *Path* is set and *Kind* is `A`"),
		("eval:frappe.boot.x", ""),
		("", ""),
	],
)
def test_conditions_of_fields_are_said_in_words(condition, words):
	known = {
		"enabled": {"fieldtype": "Check", "label": "On"},
		"path": {"fieldtype": "Data", "label": "Path"},
		"kind": {"fieldtype": "Select", "label": "Kind"},
	}
	assert reference.condition(condition, known) == words


def test_the_queries_of_the_page_find_what_they_promise(runtime, crm):
	bound, failed = blocks(reference.PAGE, "sql")
	customer = crm.customers.alive()[0]
	run_stream(runtime, "customers-full")
	assert len(runtime.db.query(bound)) == 250
	runtime.db.execute(
		"UPDATE `tabExternal Record` SET `status` = 'Failed' WHERE `external_id` = %s", [customer["id"]]
	)
	assert [row["external_id"] for row in runtime.db.query(failed)] == [customer["id"]]
