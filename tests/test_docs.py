"""What the documentation shows is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from integration_hub.commands import integration_hub
from integration_hub.homes.file import FileHome
from integration_hub.homes.file.config import tomllib
from integration_hub.sandbox import sender
from integration_hub.sandbox.access import API_KEY
from integration_hub.sync.run import run_stream
from integration_hub.webhooks.receiver import receiver
from tests.compare import source, table

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
	return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_runs_and_data_parses(path):
	for block in blocks(path, "python"):
		exec(compile(block, path.name, "exec"), {"__name__": "docs"})
	for block in blocks(path, "py"):  # needs a site: at least it is Python
		compile(block, path.name, "exec")
	for block in blocks(path, "toml"):
		tomllib.loads(block)
	for block in blocks(path, "json"):
		json.loads(block)


def test_the_sender_in_a_shell_is_believed(home):
	"""The bash block of docs/webhooks.md, run as it stands, against the receiver."""
	[script] = blocks(ROOT / "docs/webhooks.md", "bash")
	path = home.file.folder / "hub.toml"
	server = make_server("127.0.0.1", 0, receiver(lambda: FileHome(path)), threaded=True)
	threading.Thread(target=server.serve_forever, daemon=True).start()
	url = f"http://127.0.0.1:{server.port}/webhooks/crm"
	try:
		done = subprocess.run(
			["bash", "-c", script],
			env={**os.environ, "SECRET": sender.SECRET, "URL": url},
			capture_output=True,
			text=True,
		)
	finally:
		server.shutdown()
	assert json.loads(done.stdout)["status"] in ("received", "unrouted"), done


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
	for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
		if "://" not in target:
			assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist_with_their_options(path):
	for block in blocks(path, "sh"):
		for line in block.splitlines():
			match = re.search(r"integration-hub (\w+)(.*?)(#|$)", line)
			if not match:
				continue
			shown = CliRunner().invoke(integration_hub, [match[1], "--help"])
			assert shown.exit_code == 0, line
			for option in re.findall(r"--[a-z-]+", match[2]):
				assert option in shown.output, line


def test_the_connector_of_settings_alone_runs(make_home, crm, tmp_path, monkeypatch):
	monkeypatch.setenv("SHOP_API_KEY", API_KEY)
	[toml] = blocks(ROOT / "docs/connectors.md", "toml")
	toml = toml.replace("https://shop.example.com/api", f"{crm.url}/v1").replace(
		'"customers"', '"customers/page"'
	)
	(tmp_path / "shop.toml").write_text(f'[hub]\nallowed_hosts = ["127.0.0.1"]\n{toml}')
	with FileHome(tmp_path / "shop.toml") as home:
		assert run_stream(home, "shop-customers")["created"] == 250


def test_your_own_connector_is_short_and_runs(make_home, crm, monkeypatch):
	code = next(
		block for block in blocks(ROOT / "docs/connectors.md", "python") if "class AcmeConnector" in block
	)
	assert len(code.strip().splitlines()) <= 30
	acme = types.ModuleType("acme")
	exec(code, vars(acme))
	monkeypatch.setitem(sys.modules, "acme", acme)
	monkeypatch.setenv("KEY", API_KEY)
	home = make_home(
		("[hub]", '[connectors]\nAcme = "acme.AcmeConnector"\n\n[hub]'),
		("[integration.crm]\n", '[integration.crm]\nconnector = "Acme"\n'),
		('auth_type = "OAuth2 Client Credentials"', 'auth_type = "Bearer"\nsecret = "env:KEY"'),
		('pagination = "Page Number"\nmore_path = "has_more"', 'pagination = "None"'),
	)
	assert run_stream(home, "customers-full")["status"] == "Completed"
	assert table(home, "full") == source(crm)
