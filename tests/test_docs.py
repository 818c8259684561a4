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
import redis
from click.testing import CliRunner
from werkzeug.serving import make_server

from benchmarks.record import PAGE
from benchmarks.suite import SUITE
from integration_hub.commands import integration_hub
from integration_hub.connectors.config import AUTH_TYPES
from integration_hub.runtime.server import KILL_SECONDS
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.standalone.hub_toml import _HUB_KEYS, load
from integration_hub.sandbox import sender
from integration_hub.sandbox.redis import free_port
from integration_hub.stores import inbox
from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.doctype_tables import doctypes
from integration_hub.stores.inbox import Event
from integration_hub.stores.statuses import BROKEN_OFF, StreamFacts, stream_standing
from integration_hub.sync.run import load_stream, run_stream
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.receiver import receiver
from integration_hub.webhooks.schemes import SCHEMES, scheme_for
from scripts import senders
from tests.compare import source, table
from tests.slow_senders import nginx_binary
from tests.tls import self_signed

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"", "bash", "ini", "json", "mermaid", "nginx", "py", "python", "sh", "sql", "toml"}

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
		if match := re.search(r"(CHAOS|BENCHMARK|FUZZ)='([^']*)'", line):
			module = {"CHAOS": "chaos", "BENCHMARK": "benchmarks", "FUZZ": "fuzz"}[match[1]]
			check_module(module, shlex.split(match[2]))


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
	if name in ("benchmarks", "chaos", "fuzz"):
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
	described = [
		cell.partition("]")[0].strip("[")
		for head, cells in columns(ROOT / "docs/webhooks.md")
		for cell in cells
		if head == "scheme"
	]
	assert described == list(SCHEMES)


@pytest.mark.parametrize("page", senders.PAGES)
def test_the_tables_of_senders_are_as_their_script_makes_them(page):
	text = (ROOT / page).read_text()
	assert text == senders.renewed(text, senders.PAGES[page]()), "run: make senders"


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
	return options(doctype, "status")


def options(doctype: str, name: str) -> set[str]:
	[field] = [field for field in doctypes()[doctype]["fields"] if field["fieldname"] == name]
	return set(field["options"].split("\n"))


def test_each_entry_point_of_the_site_is_described():
	"""Names of functions that are whitelisted, read off the source: importing it needs Frappe."""
	text = "\n".join(file.read_text() for file in (ROOT / "integration_hub/api").glob("*.py"))
	entry_points = set(re.findall(r"^@frappe\.whitelist\(.*\)\ndef (\w+)\(", text, re.MULTILINE))
	described = [
		cell for head, cells in columns(ROOT / "docs/security.md") if head == "functions" for cell in cells
	]
	assert {name for cell in described for name in re.findall(r"`(\w+)`", cell)} == entry_points


@contextmanager
def served(path: Path) -> Iterator[str]:
	"""Run the receiver of a hub.toml; give its URL."""
	server = make_server("127.0.0.1", 0, receiver(lambda: StandaloneRuntime(path)), threaded=True)
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


def test_the_sender_in_a_shell_is_believed(runtime):
	"""The bash block of docs/webhooks.md, run as it stands, against the receiver."""
	[script] = blocks(ROOT / "docs/webhooks.md", "bash")
	with served(runtime.file.folder / "hub.toml") as url:
		said = shell(script, SECRET=sender.SECRET, URL=f"{url}/webhooks/crm")
	assert json.loads(said)["status"] in ("received", "unrouted")


FOREVER = ("sandbox", "serve")  # what runs in terminals of its own; the test has the same


def test_getting_started_without_a_bench(crm, tmp_path, monkeypatch):
	"""The blocks of that section, typed one after the other: what they promise is there in the end."""
	monkeypatch.chdir(tmp_path)
	text = (ROOT / "docs/getting-started.md").read_text().partition("## Without a bench")[2]
	said = {}
	with served(tmp_path / "hub.toml") as endpoint:
		for script in re.findall(
			r"^```sh\n(.*?)^```$", text.partition("## From your laptop")[0], re.MULTILINE | re.DOTALL
		):
			if "curl" in script:
				shell(
					script.replace("http://127.0.0.1:8765", crm.url).replace(
						"http://127.0.0.1:8787", endpoint
					)
				)
				continue
			for line in typed_lines(script):
				said[line.split()[1]] = typed(crm.url, line)
	assert "customer_name" in said["preview"]
	assert "1 events" in said["work"]
	assert "Completed" in said["events"] and "Completed" in said["status"]
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		assert runtime.db.query("SELECT `deliveries` FROM `tabWebhook Log`") == [{"deliveries": 2}]
		for kind in ("full", "incremental", "cursor"):
			assert table(runtime, kind) == source(crm)


def typed_lines(script: str) -> list[str]:
	"""Return the commands of a block that end by themselves, without comments."""
	lines = [shlex.join(shlex.split(line, comments=True)) for line in script.splitlines()]
	return [line for line in lines if line.startswith("integration-hub ") and line.split()[1] not in FOREVER]


def typed(url: str, line: str) -> str:
	"""Run a command of the documentation, against this sandbox; return what it says."""
	_, *words = shlex.split(line)
	more = ["--sandbox", url] if words[0] == "init" else []
	done = CliRunner().invoke(integration_hub, [*words, *more])
	assert done.exit_code == 0, f"{words}: {done.output}"
	return done.output


@pytest.mark.slow
@each_document
def test_pytest_commands_choose_something(path):
	for line in commands(path):
		if match := re.search(r"python -m pytest (tests/.*)", line):
			done = subprocess.run(
				[sys.executable, "-m", "pytest", "--collect-only", "-q", *shlex.split(match[1])],
				cwd=ROOT,
				capture_output=True,
				text=True,
			)
			assert not done.returncode, f"{line}: {done.stdout}"


def test_variables_of_the_environment_are_read_by_something():
	"""Names in capitals that the pages give to `make`, the scripts and the tests."""
	sources = [ROOT / "Makefile", *(ROOT / "tests").glob("*.py"), *(ROOT / "tests_desk").glob("*.py")]
	sources += [path for name in ("benchmarks", "chaos", "scripts") for path in (ROOT / name).rglob("*.py")]
	known = "\n".join(path.read_text() for path in sources if path != Path(__file__))
	text = "\n".join(
		(ROOT / place).read_text() for place in ("README.md", "docs/developing.md", "docs/desk.md")
	)
	for name in set(re.findall(r"\b(?:FRAPPE|SITE|HYPOTHESIS)_[A-Z_]+\b", text)):
		assert re.search(rf"\b{name}\b", known), name


def test_tables_of_choices_have_all_of_them():
	"""Columns that list what a field may hold: as the doctypes have it."""
	tables = {
		("connectors.md", "pagination"): ("Sync Settings", "pagination"),
		("connectors.md", "auth_type"): ("Integration Settings", "auth_type"),
		("sync.md", "mode"): ("Sync Settings", "mode"),
		("sync.md", "conversion"): ("Sync Field Mapping", "conversion"),
		("sync.md", "policy"): ("Sync Settings", "deletion_policy"),
		("webhooks.md", "action"): ("Webhook Route", "action"),
		("queues.md", "kind"): ("Integration Settings", "queue_kind"),
	}
	for (page, head), (doctype, field) in tables.items():
		[cells] = [cells for found, cells in columns(ROOT / "docs" / page) if found == head]
		named = {name for cell in cells for name in cell.split(", ")}
		assert named - {"*(none)*"} == options(doctype, field) - {""}, head


def test_the_colours_are_those_of_the_lists():
	found = [rows(path) for path in DOCUMENTS if path.name == "operations.md"]
	[described] = [table for table in found[0] if table[0][:2] == ["list", "blue"]]
	for doctype, *cells in described[1:]:
		said = {
			name: colour
			for colour, cell in zip(described[0][1:], cells, strict=True)
			for name in filter(None, cell.split(", "))
		}
		if doctype in ("Integration Settings", "Sync Settings"):
			folder = doctype.lower().replace(" ", "_")
			script = ROOT / f"integration_hub/integration_hub/doctype/{folder}/{folder}_list.js"
			shown = dict(re.findall(r'__\("(\w+)"\)\)?, "(\w+)"', script.read_text()))
			assert shown.items() <= said.items(), doctype
		if doctype != "Integration Settings":
			states = {s["title"]: s["color"].lower() for s in doctypes()[doctype]["states"]}
			assert {name: said[name] for name in states} == states, doctype
			assert said.keys() - states.keys() <= {"Disabled", "Off"}, doctype


def rows(path: Path) -> list[list[list[str]]]:
	"""Return the tables of a page, each as rows of cells; the first row is its head."""
	return [
		[
			[cell.strip() for cell in line.strip("|").split("|")]
			for number, line in enumerate(table_text.splitlines())
			if number != 1
		]
		for table_text in re.findall(r"(?:^\|.*\|\n)+", path.read_text(), re.MULTILINE)
	]


def test_the_answers_of_an_endpoint_are_words_of_the_code():
	source_text = "\n".join(path.read_text() for path in (ROOT / "integration_hub/webhooks").rglob("*.py"))
	source_text += (ROOT / "integration_hub/stores/inbox.py").read_text()
	[cells] = [cells for head, cells in columns(ROOT / "docs/webhooks.md") if head == "reason"]
	for word in {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}:
		assert f'"{word}"' in source_text, word


def test_hooks_and_keys_of_the_site_exist():
	"""Names that begin as ours do, in whatever stands for code: hooks of other apps, keys of site_config.json."""
	site = "\n".join(path.read_text() for path in (ROOT / "integration_hub/runtime/frappe").glob("*.py"))
	for path in DOCUMENTS:
		for name in re.findall(r"\bintegration_hub_(?:\w+)\b", path.read_text()):
			assert f'"{name}"' in site, f"{path.name}: {name}"


def test_counts_in_the_changelog_are_right():
	text = (ROOT / "CHANGELOG.md").read_text()
	words = (
		"zero",
		"one",
		"two",
		"three",
		"four",
		"five",
		"six",
		"seven",
		"eight",
		"nine",
		"ten",
		"eleven",
		"twelve",
		"thirteen",
		"fourteen",
	)
	for count, what in (
		(len(AUTH_TYPES) - 1, "kinds of authentication"),
		(len(options("Sync Settings", "pagination")) - 1, "of\n  pagination"),
	):
		assert f"{words[count]} {what}" in text
	assert f"{len(SCHEMES)} signature schemes" in text


def test_the_ends_of_a_run_lead_where_the_diagram_says():
	_, stream, _ = blocks(ROOT / "docs/concepts.md", "mermaid")
	drawn = {
		end: state.replace("NeedsApproval", "Needs Approval")
		for state, ends in re.findall(r"Running --> (\w+): (.*)", stream)
		for end in ends.split(", ")
	}
	for end, state in drawn.items():
		facts = StreamFacts(
			last=end, in_a_row=end in BROKEN_OFF, failed=end == "Partial", held=end == "Needs Approval"
		)
		assert stream_standing(facts).status == state, end
	assert drawn.keys() == states("Sync Log") - {"Running"}


def test_replay_takes_events_where_the_diagram_says(runtime):
	*_, diagram = blocks(ROOT / "docs/concepts.md", "mermaid")
	arrows = re.findall(r"(\w+) --> Queued: (.*)", diagram)
	by_replay = {state for state, why in arrows if why == "replay"}
	by_a_person = {state for state, why in arrows if "a person" in why}
	for conflicts, expected in ((False, by_replay), (True, by_a_person)):
		moved = set()
		for state in states("Webhook Log") - {"Queued"}:
			event = Event("crm", f"{state} {conflicts}", "order", "{}", "hash", "HTTP")
			inbox.store(runtime, [event])
			[row] = runtime.db.query(
				"SELECT `name` FROM `tabWebhook Log` WHERE `event_key` = %s", [event.key]
			)
			in_transaction(
				runtime.db, lambda n=row["name"], s=state: update(runtime.db, "Webhook Log", n, {"status": s})
			)
			if inbox.requeue(runtime, [row["name"]], conflicts):
				moved.add(state)
		assert moved == expected


def test_the_readme_without_a_bench(crm, tmp_path, monkeypatch):
	monkeypatch.chdir(tmp_path)
	[script] = [
		block
		for block in blocks(ROOT / "README.md", "sh")
		if "integration-hub init" in block and "bench" not in block
	]
	said = {line: typed(crm.url, line) for line in typed_lines(script)}
	assert list(said)[-1].startswith("integration-hub status")
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		for kind in ("full", "incremental", "cursor"):
			assert table(runtime, kind) == source(crm)


def test_the_commands_of_sync_and_of_a_new_connector(crm, tmp_path, monkeypatch):
	"""A run is held back first, for the one that approves it."""
	monkeypatch.chdir(tmp_path)
	typed(crm.url, "integration-hub init")
	typed(crm.url, "integration-hub sync")
	crm.change(delete=200)
	[sync] = [block for block in blocks(ROOT / "docs/sync.md", "sh") if "approve" in block]
	[new] = [block for block in blocks(ROOT / "docs/developing.md", "sh") if "preview" in block]
	said = {}
	for line in [*typed_lines(new), *typed_lines(sync)]:
		if match := re.search(r"approve (\w+)", line):
			with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
				sql = """SELECT `name` FROM `tabSync Log`
					WHERE `status` = 'Needs Approval' AND `stream` = 'customers-full'"""
				[held] = runtime.db.query(sql)
			line = line.replace(match[1], held["name"])
		said[line] = typed(crm.url, line)
	assert any("200 deleted" in text for line, text in said.items() if "approve" in line)
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		assert table(runtime, "full") == source(crm)
		assert load_stream(runtime, "customers-cursor").checkpoint == ""


def test_a_message_pushed_by_hand_is_an_event(tmp_path, redis_url, monkeypatch):
	"""The hub.toml of docs/queues.md takes what its shell block pushes, as a list and as a stream."""
	monkeypatch.chdir(tmp_path)
	monkeypatch.setenv("SHOP_QUEUE_URL", redis_url)
	[toml] = blocks(ROOT / "docs/queues.md", "toml")
	[script] = [block for block in blocks(ROOT / "docs/queues.md", "sh") if "redis-cli" in block]
	with redis.from_url(redis_url) as client:
		client.flushall()
		for line in script.splitlines():
			program, *words = shlex.split(line)
			assert program == "redis-cli"
			client.execute_command(*words)
	hub = f'[hub]\nallowed_hosts = ["127.0.0.1:*"]\n{toml}'
	as_stream = hub.replace('"List"', '"Stream"').replace('"shop_events"', '"shop_stream"')
	assert as_stream != hub
	for text in (hub, as_stream):
		(tmp_path / "hub.toml").write_text(text)
		assert "1 received, 0 duplicate, 0 unreadable" in typed("", "integration-hub consume shop --once")
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		stored = runtime.db.query("SELECT `event_id`, `event_type` FROM `tabWebhook Log` ORDER BY `event_id`")
	assert stored == [{"event_id": id, "event_type": "order.paid"} for id in ("1", "2")]


def test_the_route_of_the_webhooks_page_calls_the_handler_of_the_developers_page(tmp_path, monkeypatch):
	[toml] = [block for block in blocks(ROOT / "docs/webhooks.md", "toml") if "note_issue" in block]
	[code] = [block for block in blocks(ROOT / "docs/developing.md", "python") if "def note_issue" in block]
	seen: dict = {}
	exec(code, seen)
	called = []
	issues = types.ModuleType("my_app.issues")
	issues.note = lambda payload, event: called.append(seen["note_issue"](payload, event))
	monkeypatch.setitem(sys.modules, "my_app", types.ModuleType("my_app"))
	monkeypatch.setitem(sys.modules, "my_app.issues", issues)
	monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "s3cret")
	(tmp_path / "hub.toml").write_text(toml)
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		headers = {"content-type": "application/json", "x-github-event": "issues", "x-github-delivery": "1"}
		request = Request("github", "POST", headers, b'{"action": "opened"}')
		scheme = scheme_for(runtime.integration("github"), runtime.schemes())
		assert receive(runtime, scheme.signed(request, "s3cret")).status == 200
		assert drain(runtime, "github").completed == 1
	assert called == ["opened"]


def test_the_lists_of_the_webhooks_page_are_taken_apart(tmp_path, monkeypatch):
	[toml] = [block for block in blocks(ROOT / "docs/webhooks.md", "toml") if "events_path" in block]
	monkeypatch.setenv("PAGES_SECRET", "s3cret")
	(tmp_path / "hub.toml").write_text(toml)
	change = {"field": "feed", "value": {"post_id": "9", "verb": "add", "created_time": 1700000000}}
	body = {"object": "page", "entry": [{"id": "7", "changes": [change]}]}
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		request = Request("pages", "POST", {"content-type": "application/json"}, json.dumps(body).encode())
		scheme = scheme_for(runtime.integration("pages"), runtime.schemes())
		assert receive(runtime, scheme.signed(request, "s3cret")).reason == "unrouted"
		[row] = runtime.db.query("SELECT * FROM `tabWebhook Log`")
	assert (row["event_id"], row["event_type"], row["ordering_key"]) == ("7-9-add", "page.feed", "9")


def test_the_mapping_of_orders_runs(make_runtime, crm):
	[toml] = blocks(ROOT / "docs/sync.md", "toml")
	stream = """[stream.orders]
integration = "crm"
endpoint = "/v1/orders"
records_path = "data"
target_doctype = "Order"

"""
	runtime = make_runtime(("# Every customer;", f"{stream}{toml}\n# Every customer;"))
	customer = crm.customers.alive()[0]["id"]
	lines = [{"sku": "A", "quantity": "2"}, {"sku": "B", "quantity": 0.5}]
	crm.lists["orders"] = [{"id": 1, "title": "First", "state": "c", "customer_id": customer, "lines": lines}]
	run_stream(runtime, "customers-full")
	assert run_stream(runtime, "orders")["status"] == "Completed"
	[order] = runtime.db.query("SELECT * FROM `tabOrder`")
	[linked] = runtime.db.query(
		"SELECT `customer_id` FROM `tabSandbox Customer` WHERE `name` = %s", [order["customer"]]
	)
	assert (order["title"], order["status"], linked["customer_id"]) == ("First", "Closed", customer)
	items = runtime.db.query("SELECT `item_code`, `qty` FROM `tabOrder Item` ORDER BY `idx`")
	assert items == [{"item_code": "A", "qty": 2}, {"item_code": "B", "qty": 0.5}]


# What supervisor takes for a program: http://supervisord.org/configuration.html#program-x-section-values
SUPERVISOR = {
	*(
		"command",
		"process_name",
		"numprocs",
		"numprocs_start",
		"priority",
		"autostart",
		"startsecs",
		"startretries",
	),
	*("autorestart", "exitcodes", "stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup", "user"),
	*(
		"redirect_stderr",
		"stdout_logfile",
		"stderr_logfile",
		"environment",
		"directory",
		"umask",
		"serverurl",
	),
}


def test_supervisor_is_told_what_it_knows():
	"""Not run: options it has, longer patience than the receiver's own, and no name that no program has."""
	[ini] = blocks(ROOT / "docs/operations.md", "ini")
	parser = configparser.ConfigParser(interpolation=None)
	parser.read_string(ini)
	programs = {section.removeprefix("program:") for section in parser.sections()}
	for section in parser.sections():
		assert set(parser[section]) <= SUPERVISOR
		assert parser[section].getint("stopwaitsecs") > KILL_SECONDS
	for line in commands(ROOT / "docs/operations.md"):
		if match := re.match(r"supervisorctl (\w+)(.*)", line):
			assert match[1] in ("reread", "update", "status", "start", "stop", "restart")
			assert set(match[2].split()) <= programs
	[procfile] = blocks(ROOT / "docs/operations.md", "")
	assert {line.partition(":")[0] for line in procfile.splitlines()} == programs


@pytest.mark.skipif(not nginx_binary(), reason="nginx is not installed")
@pytest.mark.parametrize("number", range(2))
def test_nginx_hands_webhooks_to_the_receiver(runtime, tmp_path, number):
	"""Each nginx block of the operations page as it stands, but for its addresses and the certificate."""
	block = blocks(ROOT / "docs/operations.md", "nginx")[number]
	with served(runtime.file.folder / "hub.toml") as url:
		port, receiver_at = free_port(), url.removeprefix("http://")
		block = re.sub(r"listen (443|80)", f"listen 127.0.0.1:{port}", block)
		block = re.sub(r"(127\.0\.0\.1|10\.0\.0\.\d):8787", receiver_at, block)
		for name, place in zip(
			("fullchain", "privkey"), self_signed(tmp_path, "hooks.example.com"), strict=True
		):
			block = re.sub(rf"/etc/letsencrypt/\S+{name}\.pem", str(place), block)
		paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
		temporary = "".join(f"{name}_temp_path {tmp_path}/{name};\n" for name in paths)
		main = f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error;\ndaemon off;\nmaster_process off;\nevents {{}}\n"
		(tmp_path / "nginx.conf").write_text(f"{main}http {{\naccess_log off;\n{temporary}{block}}}\n")
		command = [
			nginx_binary(),
			"-p",
			str(tmp_path),
			"-e",
			f"{tmp_path}/error",
			"-c",
			f"{tmp_path}/nginx.conf",
		]
		assert not subprocess.run([*command, "-t"], capture_output=True).returncode, (
			tmp_path / "error"
		).read_text()
		server = subprocess.Popen(command)
		try:
			[script] = blocks(ROOT / "docs/webhooks.md", "bash")
			scheme = "https" if "ssl" in block else "http"
			there = f"{scheme}://127.0.0.1:{port}"
			wait = f"curl -sk --retry 20 --retry-connrefused --retry-delay 1 -o /dev/null -w '%{{http_code}}' {there}/other"
			assert shell(wait) == "404"
			said = shell(
				script.replace("curl", "curl -sk"), SECRET=sender.SECRET, URL=f"{there}/webhooks/crm"
			)
			assert json.loads(said)["status"] in ("received", "unrouted")
		finally:
			server.terminate()
			server.wait()
