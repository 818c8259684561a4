"""What comes from outside writes nothing into a terminal but text: each command, the receiver and the worker."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from unicodedata import category

import pytest
import requests
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.sandbox.redis import free_port
from integration_hub.sandbox.sender import HEADER, sign
from integration_hub.terminal_text import logger_of, plain

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\rstatus: ok\n2026-01-01 forged\x08\x7f\u202egnp.exe\u200b\u2028x[bold]y[/] \u0085z"
CODE = "from integration_hub.commands import main; main()"


def hub(runtime, *arguments: str, right: bool = True) -> str:
	"""Run a command; return what it printed, checked for controls."""
	done = CliRunner().invoke(
		integration_hub, ["--config", str(runtime.file.folder / "hub.toml"), *arguments]
	)
	assert isinstance(done.exception, SystemExit | None), done.exc_info
	assert (done.exit_code == 0) is right or not right, done.output
	return checked(done.output)


def checked(shown: str) -> str:
	"""Return what was printed; fails where a control or a forged line is in it."""
	assert shown.strip()
	found = {c for c in shown if c != "\n" and category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
	assert not found, (found, shown)
	assert not [line for line in shown.splitlines() if line.startswith(("status: ok", "2026-01-01 forged"))]
	return shown


@pytest.fixture
def runtime(make_runtime, crm):
	runtime = make_runtime()
	for record in crm.customers.alive()[:20]:
		crm.customers.set(record["id"], name=f"{HOSTILE}{record['id']}")
	return runtime


@pytest.mark.parametrize("stream", ["customers-full", "customers-incremental", "customers-cursor"])
def test_preview_and_sync(runtime, stream):
	assert "owned" in hub(runtime, "preview", stream) or stream != "customers-full"
	hub(runtime, "sync", "--dry-run", stream)
	hub(runtime, "sync", stream)
	hub(runtime, "sync", "--dry-run", stream)
	hub(runtime, "status")


def post(runtime, port: int, **fields):
	body = json.dumps(
		{"id": HOSTILE, "event": HOSTILE, "data": {"id": HOSTILE, "name": HOSTILE}, **fields}
	).encode()
	headers = {"Content-Type": "application/json", HEADER: sign(body)}
	return requests.post(f"http://127.0.0.1:{port}/webhooks/crm", data=body, headers=headers, timeout=10)


def test_events_replay_status_and_the_receivers_log(runtime, tmp_path):
	port = free_port()
	log = tmp_path / "serve.log"
	command = [
		sys.executable,
		"-c",
		CODE,
		"--config",
		str(runtime.file.folder / "hub.toml"),
		"serve",
		"--port",
		str(port),
	]
	with log.open("wb") as out:
		process = subprocess.Popen(command, stdout=out, stderr=out)
	try:
		for _ in range(200):
			try:
				requests.get(f"http://127.0.0.1:{port}/health", timeout=1)
				break
			except requests.ConnectionError:
				time.sleep(0.1)
		first = post(runtime, port)
		assert first.status_code == 202, first.text
		assert post(runtime, port, id="e2", event="customer.updated").status_code == 200
		requests.post(f"http://127.0.0.1:{port}/webhooks/%1b%5b2J%0dcrm", data=b"{}", timeout=10)
		runtime.db.execute("DROP TABLE `tabWebhook Log`")  # what cannot be stored is logged
		assert post(runtime, port, id="e3" + HOSTILE).status_code == 503
		runtime.db.create_tables()
		assert post(runtime, port).status_code in (200, 202)
		assert post(runtime, port, id="e2", event="customer.updated").status_code == 200
	finally:
		process.terminate()
		process.wait(20)
	checked(log.read_bytes().decode())
	assert "owned" in hub(runtime, "events")
	hub(runtime, "work", "--once")
	names = [row["name"] for row in runtime.db.query("SELECT `name` FROM `tabWebhook Log`")]
	hub(runtime, "replay", *names, "--dry-run")
	hub(runtime, "replay", *names)
	hub(runtime, "events")
	hub(runtime, "status")


def test_what_a_failing_source_says(runtime, crm):
	runtime.db.execute(
		"UPDATE `tabSync Settings` SET `checkpoint` = ?, `status` = 'Failed'".replace("?", "%s"), [HOSTILE]
	)
	runtime.db.execute("UPDATE `tabIntegration Settings` SET `last_error` = %s", [HOSTILE])
	hub(runtime, "status")
	hub(runtime, "reset", "customers-full")
	hub(runtime, "approve", HOSTILE.replace("\x00", ""), right=False)
	hub(runtime, "sync", HOSTILE, right=False)
	hub(runtime, "events", "--integration", HOSTILE, right=False)
	assert "unrouted" in hub(runtime, "events", "--status", "Unruoted", right=False).lower()
	hub(runtime, "replay", HOSTILE, right=False)


@pytest.mark.parametrize("text", ["plain", "Zürich 東京 🙂", "a\u200db", "a b"])
def test_ordinary_text_is_shown_as_it_is(text):
	assert plain(text) == text


def test_each_control_is_shown_as_what_it_is():
	assert plain("\x1b[1m\r\n\x9b\u202e\ud800\ufeff") == r"\x1b[1m\r\n\x9b\u202e\ud800\ufeff"


def test_a_log_line_is_one_line_and_a_traceback_is_indented(caplog):
	logger = logger_of("integration_hub.webhooks")
	try:
		raise ValueError(HOSTILE)
	except ValueError:
		logger.exception("Webhook for %s", HOSTILE)
	checked(caplog.text)
	assert len([line for line in caplog.text.splitlines() if not line.startswith("  ")]) == 2
	assert logging.getLogger("integration_hub.webhooks") is logger
