"""A source that sends back the credentials it was sent: no expression of the settings tells what they are.

A value that is a secret is known for one. What an expression makes of it is not: turned round, cut off, or compared with
a guess, once for each character.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from integration_hub.connectors.bounded_jmespath import computes
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.stores.runtime import HubError
from integration_hub.sync.dry_runs import dry_run, preview
from integration_hub.sync.run import load_stream, run_stream
from integration_hub.webhooks.source_confirmation import ask
from tests.test_known_secrets import everything_written

ECHO = f"you sent Bearer {CLIENT_SECRET}"
FIRST = CLIENT_SECRET[0]
WHICH = (
	("id_path", f"starts_with(name, 'you sent Bearer {FIRST}') && 'right' || 'wrong'"),
	("id_path", "join('', [id, reverse(name)])"),
	("record_filter", f"contains(name, 'Bearer {FIRST}')"),
	("record_filter", "name > 'you sent Bearer m'"),
	("deleted_path", f"contains(name, '{FIRST}')"),
	("updated_at_path", f"contains(name, '{FIRST}') && '2020-01-01' || '2021-01-01'"),
)
MADE = (
	"reverse(name)",
	f"starts_with(name, 'you sent Bearer {FIRST}')",
	f"contains(name, '{FIRST}') && 'yes' || 'no'",
	f"name == '{ECHO}'",
	"name > 'you sent Bearer m'",
	"length(name)",
	"to_string([id, name]) | reverse(@)",
	"{x: reverse(name)}.x",
	"sort([name, 'you sent Bearer m'])[0] == name",
)


def told(runtime: Any, name: str) -> str:
	"""Return all that people are shown of a stream, once it has run."""
	shown = [preview(runtime, name), dry_run(runtime, name).as_dict()]
	run_stream(runtime, name)
	return json.dumps(shown, default=str) + everything_written(runtime)


def set_row(runtime: Any, path: str) -> None:
	runtime.db.execute(
		"UPDATE `tabSync Field Mapping` SET `source_path` = %s WHERE `field` = 'customer_name'", [path]
	)


@pytest.mark.parametrize("path", MADE)
def test_a_row_of_the_mapping_makes_nothing_of_it(runtime, crm, path):
	crm.customers.set("CUST-000003", name=ECHO)
	set_row(runtime, path)
	shown = next(one for one in preview(runtime, "customers-full") if one["external_id"] == "CUST-000003")
	assert "secret" in shown["error"] and not shown["values"]
	assert CLIENT_SECRET[::-1] not in told(runtime, "customers-full")
	[row] = runtime.db.query("SELECT * FROM `tabExternal Record` WHERE `external_id` = 'CUST-000003'")
	assert (row["status"], row["payload"]) == ("Failed", None) and row["error"].startswith("customer_name")
	assert (
		runtime.db.query("SELECT COUNT(*) AS `n` FROM `tabExternal Record` WHERE `status` = 'Bound'")[0]["n"]
		> 100
	)


@pytest.mark.parametrize(("field", "path"), WHICH)
def test_no_other_setting_of_a_stream_does(runtime, crm, field, path):
	crm.customers.set("CUST-000003", name=ECHO)
	runtime.db.execute(f"UPDATE `tabSync Settings` SET `{field}` = %s", [path])
	rows = told(runtime, "customers-full")
	assert CLIENT_SECRET[::-1] not in rows and "secret of this integration" in rows


@pytest.mark.parametrize(
	("field", "path"),
	[
		("records_path", "map(&{id: id, name: reverse(name)}, data)"),
		("more_path", f"starts_with(data[0].name, 'you sent Bearer {FIRST}')"),
		("cursor_path", "reverse(data[0].name)"),
		("cursor_path", "data[0].name"),
	],
)
def test_what_leads_through_the_pages_does_not(runtime, crm, field, path):
	"""A cursor is kept as the stream's checkpoint, which viewers see."""
	crm.lists["echoes"] = [{"id": "1", "name": ECHO}]
	values = {"endpoint": "/v1/echoes", "records_path": "data", "pagination": "Cursor", field: path}
	names = ", ".join(f"`{name}` = %s" for name in values)
	runtime.db.execute(f"UPDATE `tabSync Settings` SET `mode` = 'Cursor', {names}", list(values.values()))
	with pytest.raises(MalformedAnswer, match="secret"):
		preview(runtime, "customers-full")
	assert run_stream(runtime, "customers-full")["status"] == "Failed"
	rows = everything_written(runtime)
	assert CLIENT_SECRET not in rows and CLIENT_SECRET[::-1] not in rows


def test_nor_does_what_a_single_record_is_read_with(runtime, crm):
	crm.customers.set("CUST-000003", name=ECHO)
	values = ["/v1/customers/{id}", "{id: id, name: reverse(name)}"]
	runtime.db.execute(
		"UPDATE `tabSync Settings` SET `record_endpoint` = %s, `record_answer_path` = %s", values
	)
	with pytest.raises(HubError, match="record_answer_path"):
		ask(runtime, load_stream(runtime, "customers-full"), "CUST-000003")


@pytest.mark.parametrize(
	"path", ["name", "a.b", "a[0].b", "a[*].b", "[a, b]", "{a: b}", "a || b", "a[1:].b", "*.a"]
)
def test_what_only_chooses_is_asked_nothing(path):
	assert not computes(path)
