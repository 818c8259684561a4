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

from integration_hub.plain import logger_of, plain
from integration_hub.sandbox.redis import free_port
from integration_hub.sandbox.sender import HEADER, sign

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\rstatus: ok\n2026-01-01 forged\x08\x7f\u202egnp.exe\u200b\u2028x[bold]y[/] \u0085z"
CODE = "from integration_hub.commands import main; main()"


def hub(home, *arguments: str, right: bool = True) -> str:
	"""Run a command as a process of its own; return what it printed, checked for controls."""
	command = [sys.executable, "-c", CODE, "--config", str(home.file.folder / "hub.toml"), *arguments]
	done = subprocess.run(command, capture_output=True, timeout=60)
	assert (done.returncode == 0) is right or not right, done.stderr
	return checked(done.stdout.decode() + done.stderr.decode())


def checked(shown: str) -> str:
	"""Return what was printed; fails where a control or a forged line is in it."""
	assert shown.strip()
	found = {c for c in shown if c != "\n" and category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
	assert not found, (found, shown)
	assert not [line for line in shown.splitlines() if line.startswith(("status: ok", "2026-01-01 forged"))]
	return shown


@pytest.fixture
def home(make_home, crm):
	home = make_home()
	for record in crm.customers.alive()[:20]:
		crm.customers.set(record["id"], name=f"{HOSTILE}{record['id']}")
	return home


@pytest.mark.parametrize("stream", ["customers-full", "customers-incremental", "customers-cursor"])
def test_preview_and_sync(home, stream):
	assert "owned" in hub(home, "preview", stream) or stream != "customers-full"
	hub(home, "sync", "--dry-run", stream)
	hub(home, "sync", stream)
	hub(home, "sync", "--dry-run", stream)
	hub(home, "status")


def post(home, port: int, **fields):
	body = json.dumps(
		{"id": HOSTILE, "event": HOSTILE, "data": {"id": HOSTILE, "name": HOSTILE}, **fields}
	).encode()
	headers = {"Content-Type": "application/json", HEADER: sign(body)}
	return requests.post(f"http://127.0.0.1:{port}/webhooks/crm", data=body, headers=headers, timeout=10)


def test_events_replay_status_and_the_receivers_log(home, tmp_path):
	port = free_port()
	log = tmp_path / "serve.log"
	command = [
		sys.executable,
		"-c",
		CODE,
		"--config",
		str(home.file.folder / "hub.toml"),
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
		first = post(home, port)
		assert first.status_code == 202, first.text
		assert post(home, port, id="e2", event="customer.updated").status_code == 200
		requests.post(f"http://127.0.0.1:{port}/webhooks/%1b%5b2J%0dcrm", data=b"{}", timeout=10)
		home.db.execute("DROP TABLE `tabWebhook Log`")  # what cannot be stored is logged
		assert post(home, port, id="e3" + HOSTILE).status_code == 503
		home.db.create_tables()
		assert post(home, port).status_code in (200, 202)
		assert post(home, port, id="e2", event="customer.updated").status_code == 200
	finally:
		process.terminate()
		process.wait(20)
	checked(log.read_bytes().decode())
	assert "owned" in hub(home, "events")
	hub(home, "work", "--once")
	names = [row["name"] for row in home.db.query("SELECT `name` FROM `tabWebhook Log`")]
	hub(home, "replay", *names, "--dry-run")
	hub(home, "replay", *names)
	hub(home, "events")
	hub(home, "status")


def test_what_a_failing_source_says(home, crm):
	home.db.execute(
		"UPDATE `tabSync Settings` SET `checkpoint` = ?, `status` = 'Failed'".replace("?", "%s"), [HOSTILE]
	)
	home.db.execute("UPDATE `tabIntegration Settings` SET `last_error` = %s", [HOSTILE])
	hub(home, "status")
	hub(home, "reset", "customers-full")
	hub(home, "approve", HOSTILE.replace("\x00", ""), right=False)
	hub(home, "sync", HOSTILE, right=False)
	hub(home, "events", "--integration", HOSTILE, right=False)
	assert "unrouted" in hub(home, "events", "--status", "Unruoted", right=False).lower()
	hub(home, "replay", HOSTILE, right=False)


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
