"""Attacks: «one fault is one failure». What an app's function, a body or a record fails with stops nothing beside it."""

from __future__ import annotations

import json

import pytest

from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.registry import resolve
from integration_hub.runtime import status
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.worker import work_once
from integration_hub.sandbox.sender import HEADER, SECRET, sign
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.replay import preview, replay
from tests.red_team.handlers import FAILING

HUB = """
[integration.crm]
base_url = "https://example.com"
webhook_enabled = true
webhook_secret = "env:CRM_WEBHOOK_SECRET"
event_type_path = "event"
event_id_path = "id"
{routes}
[[integration.crm.routes]]
event_pattern = "record"
stream = "things"
record_path = "data"

[stream.things]
integration = "crm"
endpoint = "/x"
schedule = "Off"
target_doctype = "Thing"

[stream.things.mapping]
title = {{ source_path = "title", conversion = "Python", argument = "{transform}" }}

[table.Thing]
title = "Data"

[handlers]
{functions}

[transforms]
{functions}
"""
ROUTE = '[[integration.crm.routes]]\nevent_pattern = "{0}"\naction = "Call Function"\nhandler = "{0}"\n'


def opened(tmp_path, monkeypatch, transform: str = "good") -> StandaloneRuntime:
	monkeypatch.setenv("CRM_WEBHOOK_SECRET", SECRET)
	names = (*FAILING, "good")
	functions = "\n".join(f'{name} = "tests.red_team.handlers.{name}"' for name in names)
	routes = "".join(map(ROUTE.format, names))
	(tmp_path / "hub.toml").write_text(HUB.format(routes=routes, functions=functions, transform=transform))
	return StandaloneRuntime(tmp_path / "hub.toml")


def send(runtime: StandaloneRuntime, body: bytes) -> Response:
	headers = {"content-type": "application/json", HEADER.lower(): sign(body)}
	return receive(runtime, Request("crm", "POST", headers, body))


def event(kind: str, number: str, **data: object) -> bytes:
	return json.dumps({"event": kind, "id": number, "data": data}).encode()


def states(runtime: StandaloneRuntime) -> dict[str, str]:
	return {row["event_id"]: row["status"] for row in runtime.db.query("SELECT * FROM `tabWebhook Log`")}


@pytest.mark.parametrize("name", FAILING)
def test_a_handler_fails_its_own_event_whatever_it_raises(tmp_path, monkeypatch, name):
	with opened(tmp_path, monkeypatch) as runtime:
		for number, kind in (("1", "good"), ("2", name), ("3", "good"), ("4", "record")):
			assert send(runtime, event(kind, number, id="x", title="t")).status == 200
		assert work_once(runtime).refused == ()
		assert states(runtime) == {"1": "Completed", "2": "Failed", "3": "Completed", "4": "Completed"}
		[row] = runtime.db.query("SELECT * FROM `tabIntegration Error Log`")
		assert row["message"] and row["kind"] and "s3cret" not in repr(row)
		assert len(row["message"]) <= 1001
		assert [*status.lines(runtime)]


@pytest.mark.parametrize("name", FAILING)
def test_a_transform_fails_its_own_record_whatever_it_raises(tmp_path, monkeypatch, name):
	with opened(tmp_path, monkeypatch, transform=name) as runtime:
		send(runtime, event("record", "1", id="a", title="t"))
		send(runtime, event("good", "2"))
		assert work_once(runtime).refused == ()
		assert states(runtime) == {"1": "Failed", "2": "Completed"}


def test_who_presses_ctrl_c_is_heard(tmp_path, monkeypatch):
	def stop(*given: object) -> None:
		raise KeyboardInterrupt

	monkeypatch.setattr("tests.red_team.handlers.good", stop)
	with opened(tmp_path, monkeypatch) as runtime:
		send(runtime, event("good", "1"))
		with pytest.raises(KeyboardInterrupt):
			work_once(runtime)


@pytest.mark.parametrize("text", ["import sys; sys.exit(3)", "1 +", "raise MemoryError", "\0", "x = y"])
def test_a_module_that_cannot_be_imported_is_a_wrong_setting(tmp_path, monkeypatch, text):
	monkeypatch.syspath_prepend(tmp_path)
	name = f"red_{abs(hash(text))}"
	(tmp_path / f"{name}.py").write_text(text)
	with pytest.raises(ConfigurationError, match=name):
		resolve(f"{name}.function")
	monkeypatch.setenv("CRM_WEBHOOK_SECRET", SECRET)
	toml = HUB.format(routes="", functions=f'bad = "{name}.function"', transform="bad")
	(tmp_path / "hub.toml").write_text(toml)
	with pytest.raises(HubError, match=name):
		StandaloneRuntime(tmp_path / "hub.toml")


DEPTHS = [90, 300, 480, 700, 950, 1500, 20_000]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("opens", "closes"), ["[]", ('{"a":', "}")], ids=["lists", "objects"])
def test_a_deep_body_is_an_event_or_refused_and_all_that_reads_it_goes_on(
	tmp_path, monkeypatch, depth, opens, closes
):
	with opened(tmp_path, monkeypatch) as runtime:
		deep = f'"data": {{"id": "x", "title": {opens * depth}1{closes * depth}}}'
		for number, kind in (("1", "record"), ("2", "good"), ("3", "nowhere")):
			answer = send(runtime, f'{{"event": "{kind}", "id": "{number}", {deep}}}'.encode())
			assert answer.status in (200, 202, 400)
		assert send(runtime, event("good", "4")).status == 200
		assert work_once(runtime).refused == ()
		assert states(runtime)["4"] == "Completed"
		assert "Processing" not in states(runtime).values()
		names = [row["name"] for row in runtime.db.query("SELECT `name` FROM `tabWebhook Log`")]
		assert len([*preview(runtime, names)]) == len(names)
		replay(runtime, names)
		assert work_once(runtime).refused == () and [*status.lines(runtime)]
