"""Attacks: «an operator fed hostile data». Whatever stands in a hub.toml, it is settings or one line that names the place.

Each setting is set to each kind of value that TOML has; no pair ends in anything but a runtime or a HubError.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.standalone.apply_hub_toml import check
from integration_hub.runtime.standalone.hub_toml import load
from integration_hub.runtime.worker import work_once
from integration_hub.sandbox.example import hub_toml
from integration_hub.stores.doctype_tables import NO_COLUMN, doctypes
from integration_hub.stores.runtime import HubError

BASE = """
[integration.crm]
base_url = "http://127.0.0.1:1"
{integration}

[stream.s]
integration = "crm"
endpoint = "/x"
target_doctype = "T"
{stream}

[stream.s.mapping]
title = "title"

[table.T]
title = "Data"
"""
SETTINGS = [
	(section, field)
	for section, doctype in (("integration", "Integration Settings"), ("stream", "Sync Settings"))
	for field in doctypes()[doctype]["fields"]
	if field["fieldtype"] not in NO_COLUMN
]
NUMBERS = [(section, field) for section, field in SETTINGS if field["fieldtype"] in ("Int", "Float")]
VALUES = {
	"zero": "0",
	"below zero": "-1",
	"large": "1000000000000000000",
	"larger than a column": "10000000000000000000",
	"endless": "1" + "0" * 400,
	"not a number": "nan",
	"infinite": "inf",
	"a part": "0.5",
	"text": '"x"',
	"NUL": '"\\u0000"',
	"long": '"' + "x" * 70_000 + '"',
	"true": "true",
	"list": '["a"]',
	"table": "{ a = 1 }",
	"date": "1979-05-27T07:32:00Z",
	"time": "07:32:00",
}


def written(folder: Path, section: str, line: str) -> Path:
	text = BASE.format(**{"integration": "", "stream": "", section: line})
	lines = [row for row in text.split("\n") if row == line or row.split(" =")[0] != line.split(" =")[0]]
	(folder / "hub.toml").write_text("\n".join(lines))
	return folder / "hub.toml"


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_any_value_of_any_setting_is_read_or_refused_by_its_name(tmp_path, value):
	for section, field in SETTINGS:
		try:
			check(load(written(tmp_path, section, f"{field['fieldname']} = {value}")))
		except HubError as error:
			assert error.field and str(error), (field["fieldname"], error)


@pytest.mark.parametrize(
	"value", ["nan", "inf", "-inf", "true", '"x"', '"nan"', "[1]", "1979-05-27", "1e400"]
)
def test_what_is_no_number_is_refused_by_the_name_of_each_number(tmp_path, value):
	for section, field in NUMBERS:
		if field.get("read_only"):
			continue
		with pytest.raises(HubError) as refused:
			check(load(written(tmp_path, section, f"{field['fieldname']} = {value}")))
		assert refused.value.field == field["fieldname"]


def test_what_the_engine_keeps_is_no_setting(tmp_path):
	kept = [(section, field["fieldname"]) for section, field in SETTINGS if field.get("read_only")]
	assert ("stream", "checkpoint") in kept and ("stream", "wanted") in kept
	for section, name in kept:
		with pytest.raises(HubError, match="not a known key"):
			load(written(tmp_path, section, f'{name} = "2026-01-01"'))


@pytest.mark.parametrize(
	"lines",
	[
		"[hub]\ndatabase = 5",
		'[hub]\ndatabase = ""',
		'[hub]\ndatabase = "\\u0000"',
		'[hub]\ndatabase = "a/../b/../../no/such/folder/hub.db"',
		f'[hub]\ndatabase = "{"x" * 300}"',
		'[hub]\ndatabase = "."',
		'[hub]\ndatabase = "no-database"',
		"[hub]\nredis = 5",
		"[hub]\nencryption_key = [1]",
		"[hub]\nallowed_hosts = 5",
		"[handlers]\nx = 5",
		"[connectors]\nx = [1]",
		"[schemes]\nx = 1.5",
		"[transforms]\nx = { a = 1 }",
		'[stream."a"]\nmapping = 5',
		"[stream.a]\nmapping = [5]",
		"[stream.a.mapping]\nx = [5]",
		"[integration.a]\nroutes = 5",
		'[integration.a]\nroutes = ["x"]',
		'[[integration.a.routes]]\nevent_pattern = ["x"]',
		"[table.a]\nx = 5",
		'[table.a]\nx = { fieldtype = ["Data"] }',
		'[table.a]\nx = { fieldtype = "Data", length = "long" }',
		'[table."a`; DROP TABLE x; --"]\nx = "Data"',
		'[table.a]\n"x` TEXT); --" = "Data"',
		'[stream.""]\nmode = "Full"',
		'[integration.""]\nbase_url = "http://x"',
		f'[integration.{"x" * 200}]\nbase_url = "http://x"',
		'[integration."\\u001b]0;x\\u0007"]\nbase_url = "http://x"',
		'[integration."a\\nb"]\nbase_url = "http://x"',
	],
)
def test_what_no_runtime_can_be_made_of_is_refused_in_one_line(tmp_path, lines):
	(tmp_path / "no-database").write_bytes(b"something else" * 100)
	text = hub_toml("http://127.0.0.1:1").replace('database = "hub.db"\n', "")
	head, _, rest = lines.partition("\n")
	text = text.replace(head, lines) if head in text.split("\n") else f"{text}\n{lines}\n"
	if "encryption_key" in rest:
		text = text.replace('encryption_key = "env:HUB_KEY"\n', "")
	if "allowed_hosts" in rest:
		text = "\n".join(line for line in text.split("\n") if not line.startswith('allowed_hosts = ["'))
	(tmp_path / "hub.toml").write_text(text)
	with pytest.raises(HubError) as refused:
		StandaloneRuntime(tmp_path / "hub.toml")
	assert "cannot be read" not in str(refused.value), "the test's own TOML is none"


def test_numbers_and_checks_stand_for_the_text_that_a_form_would_have(make_runtime):
	runtime = make_runtime(
		(
			'deletion_policy = "Delete"\nenabled = true\n\n[stream.customers-full.mapping]',
			'deletion_policy = "Disable"\ndisable_field = "active"\ndisable_value = 0\nenable_value = 1\nenabled = true\n\n'
			"[stream.customers-full.mapping]",
		)
	)
	assert work_once(runtime).refused == ()
	[row] = runtime.db.query("SELECT * FROM `tabSync Settings` WHERE `name` = 'customers-full'")
	assert (row["disable_value"], row["enable_value"]) == ("0", "1")
