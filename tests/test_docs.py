"""What the documentation shows is run; what cannot be run here is checked."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from benchmarks.record import PAGE
from benchmarks.suite import SUITE
from integration_hub.commands import integration_hub
from integration_hub.homes.file import FileHome
from integration_hub.homes.file.config import _HUB_KEYS, load
from integration_hub.sandbox import sender
from integration_hub.sandbox.access import API_KEY
from integration_hub.stores.schema import doctypes
from integration_hub.sync.run import run_stream
from integration_hub.webhooks.receiver import receiver
from integration_hub.webhooks.schemes import SCHEMES
from tests.compare import source, table

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"", "bash", "ini", "json", "mermaid", "nginx", "py", "python", "sh", "toml"}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def fenced(path: Path) -> Iterator[tuple[str, str]]:
	"""Return the language and the text of each code block; those of lists are indented."""
	for _, language, text in re.findall(
		r"^( *)```(\w*)\n(.*?)^\1```$", path.read_text(), re.MULTILINE | re.DOTALL
	):
		yield language, text


def blocks(path: Path, language: str) -> list[str]:
	return [text for found, text in fenced(path) if found == language]


def commands(path: Path) -> Iterator[str]:
	"""Return what a person would type or have run: lines of blocks, and code in sentences, without comments."""
	text = path.read_text()
	prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
	lines = [
		line
		for language, block in fenced(path)
		if language in ("", "sh", "bash", "ini")
		for line in block.splitlines()
	]
	for line in [*lines, *re.findall(r"`([^`]+)`", prose)]:
		yield re.split(r"\s#\s", line)[0]


@each_document
def test_each_block_is_of_a_language_that_is_checked(path):
	assert {language for language, _ in fenced(path)} <= LANGUAGES
	assert path.read_text().count("```") == 2 * len(list(fenced(path)))


@each_document
def test_python_runs(path):
	for block in blocks(path, "python"):
		exec(compile(block, path.name, "exec"), {"__name__": "docs"})
	for block in blocks(path, "py"):  # needs a site: at least it is Python
		compile(block, path.name, "exec")


@each_document
def test_data_parses_and_has_no_unknown_key(path, tmp_path):
	for block in blocks(path, "toml"):
		(tmp_path / "hub.toml").write_text(block)
		load(tmp_path / "hub.toml")
	for block in blocks(path, "json"):
		json.loads(block)
	for block in blocks(path, "ini"):
		parser = configparser.ConfigParser(interpolation=None)
		parser.read_string(block)
		for section in parser.sections():
			assert section.startswith("program:") and parser[section]["command"], section


@each_document
def test_nginx_blocks_are_statements_and_closed_braces(path):
	for block in blocks(path, "nginx"):
		lines = [line.strip() for line in block.splitlines() if line.strip()]
		assert all(line.endswith((";", "{", "}")) for line in lines)
		assert sum(line.endswith("{") for line in lines) == lines.count("}")


@each_document
def test_links_lead_somewhere(path):
	for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", path.read_text()):
		if "://" in target:
			continue
		page = (path.parent / target).resolve() if target else path
		assert page.exists() or page == PAGE, target  # the page that `python -m benchmarks --write` makes
		if anchor:
			assert anchor in anchors(page), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
	"""Return the anchors of a page's headings, as GitHub makes them."""
	headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
	return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_picture_is_shown():
	shown = {
		(path.parent / target).resolve()
		for path in DOCUMENTS
		for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", path.read_text())
	}
	assert shown == set((ROOT / "docs/images").glob("*"))


def test_the_readme_leads_to_each_document():
	text = (ROOT / "README.md").read_text()
	for path in DOCUMENTS[1:]:
		assert f"({path.relative_to(ROOT)})" in text


@each_document
def test_commands_exist_with_their_options(path):
	for line in commands(path):
		if not (match := re.search(r"(?<![\w/.])integration-hub ([a-z]\w*)(.*)", line)):
			continue
		command = integration_hub.commands.get(match[1])
		assert command, line
		if not match[2].strip():
			continue  # the name alone, in a sentence
		try:  # as click reads it; nothing is run
			command.make_context(match[1], shlex.split(match[2]))
		except click.exceptions.UsageError as error:
			pytest.fail(f"{line}: {error.format_message()}")


@each_document
def test_make_targets_exist(path):
	makefile = (ROOT / "Makefile").read_text()
	for line in commands(path):
		if match := re.search(r"(?:^|\s)make ([a-z-]+)", line):
			assert re.search(rf"^{match[1]}:", makefile, re.MULTILINE), line
		if match := re.search(r"(CHAOS|BENCHMARK)='([^']*)'", line):
			check_module({"CHAOS": "chaos", "BENCHMARK": "benchmarks"}[match[1]], shlex.split(match[2]))


@each_document
def test_modules_and_scripts_exist(path):
	for line in commands(path):
		if match := re.search(r"python -m ([\w.]+)(.*)", line):
			check_module(match[1], shlex.split(match[2]))
		for file in re.findall(
			r"(?<![\w/.~-])((?:tests|docs|chaos|benchmarks|scripts|integration_hub|\.ci)/[\w./]+)", line
		):
			assert (ROOT / file).exists(), f"{path.name}: {file}"


def check_module(name: str, words: list[str]) -> None:
	"""Check a module that is run, with its arguments as far as they are ours."""
	assert find_spec(name), name
	options = [word for word in words if word.startswith("--")]
	if name == "benchmarks":
		assert {word for word in words if not word.startswith("-")} <= {benchmark.name for benchmark in SUITE}
	if name in ("benchmarks", "chaos"):
		text = (ROOT / name / "__main__.py").read_text()
		assert all(f'"{option}"' in text for option in options), options


@each_document
def test_keys_named_in_tables_exist(path):
	"""In columns headed key or settings: fieldnames of the doctypes, or keys of [hub]."""
	known = _HUB_KEYS | {field["fieldname"] for doctype in doctypes().values() for field in doctype["fields"]}
	for head, cells in columns(path):
		if head in ("key", "settings"):
			for cell in cells:
				named = re.findall(r"[`*]([a-z]+(?:_[a-z]+)*)[`*]", cell)
				assert set(named) <= known, f"{head}: {cell}"


def test_each_scheme_is_described():
	for head, cells in columns(ROOT / "docs/webhooks.md"):
		if head == "scheme":
			assert set(cells) == set(SCHEMES)
			return
	pytest.fail("there is no table of schemes")


def columns(path: Path) -> Iterator[tuple[str, list[str]]]:
	"""Return each column of each table: its head and its cells."""
	for table_text in re.findall(r"(?:^\|.*\|\n)+", path.read_text(), re.MULTILINE):
		rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table_text.splitlines()]
		for number, head in enumerate(rows[0]):
			yield head, [row[number] for row in rows[2:] if number < len(row)]


def test_the_diagrams_have_the_states_of_the_doctypes():
	run, stream, event = blocks(ROOT / "docs/concepts.md", "mermaid")
	for diagram, doctype in ((run, "Sync Log"), (stream, "Sync Settings"), (event, "Webhook Log")):
		named = re.findall(r"(\w+) -->", diagram) + re.findall(r"--> (\w+)", diagram)
		drawn = {name.replace("NeedsApproval", "Needs Approval") for name in named}
		assert drawn == states(doctype), doctype


def test_the_tables_have_the_states_of_the_doctypes():
	heads = {
		f"status of {a} {name}": name
		for name in ("Sync Log", "Webhook Log", "External Record")
		for a in ("a", "an")
	}
	described = {
		heads[head]: set(cells) for head, cells in columns(ROOT / "docs/concepts.md") if head in heads
	}
	assert described == {name: states(name) for name in heads.values()}


def states(doctype: str) -> set[str]:
	[field] = [field for field in doctypes()[doctype]["fields"] if field["fieldname"] == "status"]
	return set(field["options"].split("\n"))


def test_each_door_of_the_site_is_described():
	"""Names of functions that are whitelisted, read off the source: importing it needs Frappe."""
	text = (ROOT / "integration_hub/api.py").read_text()
	doors = set(re.findall(r"^@frappe\.whitelist\(.*\)\ndef (\w+)\(", text, re.MULTILINE))
	described = [
		cell for head, cells in columns(ROOT / "docs/security.md") if head == "functions" for cell in cells
	]
	assert {name for cell in described for name in re.findall(r"`(\w+)`", cell)} == doors


@contextmanager
def served(path: Path) -> Iterator[str]:
	"""Run the receiver of a hub.toml; give its URL."""
	server = make_server("127.0.0.1", 0, receiver(lambda: FileHome(path)), threaded=True)
	threading.Thread(target=server.serve_forever, daemon=True).start()
	try:
		yield f"http://127.0.0.1:{server.port}"
	finally:
		server.shutdown()


def shell(script: str, **environment: str) -> str:
	done = subprocess.run(
		["bash", "-ec", script], env={**os.environ, **environment}, capture_output=True, text=True
	)
	assert not done.returncode, done
	return done.stdout


def test_the_sender_in_a_shell_is_believed(home):
	"""The bash block of docs/webhooks.md, run as it stands, against the receiver."""
	[script] = blocks(ROOT / "docs/webhooks.md", "bash")
	with served(home.file.folder / "hub.toml") as url:
		said = shell(script, SECRET=sender.SECRET, URL=f"{url}/webhooks/crm")
	assert json.loads(said)["status"] in ("received", "unrouted")


FOREVER = ("sandbox", "serve")  # what runs in terminals of its own; the test has the same


def test_getting_started_without_a_bench(crm, tmp_path, monkeypatch):
	"""The blocks of that section, typed one after the other: what they promise is there in the end."""
	monkeypatch.chdir(tmp_path)
	text = (ROOT / "docs/getting-started.md").read_text().partition("## Without a bench")[2]
	said = {}
	with served(tmp_path / "hub.toml") as door:
		for script in re.findall(
			r"^```sh\n(.*?)^```$", text.partition("## From the laptop")[0], re.MULTILINE | re.DOTALL
		):
			if "curl" in script:
				shell(script.replace("http://127.0.0.1:8765", crm.url).replace("http://127.0.0.1:8787", door))
				continue
			for line in script.splitlines():
				words = shlex.split(line, comments=True)
				if words[0] == "integration-hub" and words[1] not in FOREVER:
					said[words[1]] = typed(crm.url, words[1:])
	assert "customer_name" in said["preview"]
	assert "1 events" in said["work"]
	assert "Completed" in said["events"] and "Completed" in said["status"]
	with FileHome(tmp_path / "hub.toml") as home:
		assert home.db.query("SELECT `deliveries` FROM `tabWebhook Log`") == [{"deliveries": 2}]
		for kind in ("full", "incremental", "cursor"):
			assert table(home, kind) == source(crm)


def typed(url: str, words: list[str]) -> str:
	"""Run a command of the documentation, against this sandbox; return what it says."""
	options = ["--sandbox", url] if words[0] == "init" else []
	done = CliRunner().invoke(integration_hub, [*words, *options])
	assert done.exit_code == 0, f"{words}: {done.output}"
	return done.output


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
