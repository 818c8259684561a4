"""The command line as people meet it: what they can write into hub.toml or find on a machine ends in one line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from integration_hub import __version__
from integration_hub.commands import integration_hub
from integration_hub.runtime.standalone.apply_hub_toml import check
from integration_hub.runtime.standalone.hub_toml import _HUB_KEYS, load
from integration_hub.stores.doctype_tables import NO_COLUMN, doctypes
from integration_hub.stores.runtime import HubError
from tests.red_team.test_settings import VALUES

HUB = [sys.executable, "-c", "from integration_hub.commands import main; main()"]


def said(*words: object, code: int | None = 1) -> str:
	"""Run a command in this process; return what it prints. It ends with `code`, and never with an error of its own."""
	done: Result = CliRunner().invoke(integration_hub, [str(word) for word in words])
	assert isinstance(done.exception, SystemExit | None), (words, done.exc_info)
	assert code is None or done.exit_code == code, (words, done.output)
	return done.output


def at(runtime, *words: object, code: int | None = 1) -> str:
	return said("--config", runtime.file.folder / "hub.toml", *words, code=code)


# Each key of each table, with each kind of value


def keys(doctype: str) -> list[str]:
	fields = doctypes()[doctype]["fields"]
	return [f["fieldname"] for f in fields if f["fieldtype"] not in NO_COLUMN and not f.get("read_only")]


TABLES = {
	"hub": {"encryption_key": '"env:HUB_KEY"'},
	"integration.crm": {"base_url": '"http://127.0.0.1:1"', "max_attempts": "1"},
	"stream.s": {"integration": '"crm"', "endpoint": '"/x"', "target_doctype": '"T"'},
	"stream.s.mapping": {"title": '"title"'},
	"table.T": {"title": '"Data"'},
}
ROWS = {
	"integration.crm.routes": {"event_pattern": '"*"', "action": '"Upsert Record"', "stream": '"s"'},
	"stream.s.mapping": {"field": '"title"', "source_path": '"t"'},
}
REGISTRIES = ("handlers", "connectors", "schemes", "transforms")
KINDS = {
	**VALUES,
	"empty": '""',
	"control": '"\\u001b[2J"',
	"no list": "[]",
	"lists": "[[1]]",
	"no table": "{}",
	"tables": "[{ a = 1 }]",
	"local date": "1979-05-27",
}


def places() -> Iterator[tuple[str, str]]:
	"""Return the table and the key of everything that a hub.toml can set, and of the tables themselves."""
	yield from (("hub", key) for key in sorted(_HUB_KEYS))
	yield from (("integration.crm", key) for key in [*keys("Integration Settings"), "routes"])
	yield from (("stream.s", key) for key in [*keys("Sync Settings"), "mapping", "renamed_from"])
	yield from (("stream.s.mapping", "title"), ("table.T", "title"), ("table.T", "new"))
	yield from ((table, "x") for table in REGISTRIES)
	yield from (("", key) for key in ("hub", "integration", "stream", "table", *REGISTRIES, "other"))
	yield from (("integration", "crm"), ("stream", "s"), ("table", "T"))
	yield from (("[integration.crm.routes]", key) for key in keys("Webhook Route"))
	yield from (("[stream.s.mapping]", key) for key in keys("Sync Field Mapping"))
	yield from (("table.T.new", key) for key in ("fieldtype", "options", "length", "reqd"))


def written(table: str, key: str, value: str) -> str:
	"""Return a hub.toml in which a key has a value; a table that this stands in the place of is left out."""
	tables = {name: dict(rows) for name, rows in TABLES.items()}
	full = f"{table}.{key}".strip(".")
	tables = {name: rows for name, rows in tables.items() if name != full and not name.startswith(f"{full}.")}
	if not table:
		return f"{key} = {value}\n{text_of(tables)}"
	if table.startswith("["):
		name = table.strip("[]")
		tables.pop(name, None)
		tables[table] = {**ROWS[name], key: value}
	else:
		tables.setdefault(table, {"fieldtype": '"Data"'} if table == "table.T.new" else {})[key] = value
	return text_of(tables)


def text_of(tables: dict[str, dict[str, str]]) -> str:
	blocks = (
		"\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in rows.items())])
		for name, rows in tables.items()
	)
	return "\n".join(blocks) + "\n"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_value_of_each_key_is_taken_or_refused_by_its_name(tmp_path, monkeypatch, kind):
	monkeypatch.setenv("HUB_KEY", Fernet.generate_key().decode())
	toml = tmp_path / "hub.toml"
	for table, key in places():
		toml.write_text(written(table, key, KINDS[kind]))
		try:
			check(load(toml))
		except HubError as error:
			# Where a part of the file is missing, or one asks for another, who needs it says so.
			place = {"T": "table", "crm": "integration", "s": "stream", "x": table}.get(key, key)
			needs = place.endswith("_enabled") or "mapping" in table or "." not in table
			assert place in str(error) or (needs and "hub.toml [" in str(error)), (table, key, error)
			refused = table, key
	toml.write_text(written(*refused, KINDS[kind]))
	output = said("--config", toml, "status")
	assert output.startswith("Error: ") and output.count("\n") == 1 and len(output) < 1500


@pytest.mark.parametrize(
	("lines", "words"),
	[
		('[hub]\nallowed_hosts = "x"', "hub.toml [hub], allowed_hosts – must be a list of hosts"),
		("[stream.s]\npage_size = 1.5", "page_size – must be a whole number"),
		("[stream.s]\npage_sizes = 10", "page_sizes – is not a known key; did you mean page_size"),
		('[streams.s]\nmode = "Full"', "streams – is not a known key; did you mean stream"),
		("[hub]\nallowed_host = []", "did you mean allowed_hosts"),
		('[stream.s]\nid_path = ""', "id_path – is empty"),
		('[stream.s]\nid_path = "length()"', "calls length() with 0 arguments; it takes 1"),
		('[stream.s]\nid_path = "join(a)"', "calls join() with 1 arguments; it takes 2"),
		('[stream.s]\nid_path = "merge()"', "calls merge() with 0 arguments; it takes 1 or more"),
		('[stream.s]\nid_path = "sort_by(a, b)[0].id"', "without an expression, which is written with &"),
		('[stream.s]\nid_path = "nope(a)"', "calls nope(), which is no function"),
		(
			'[stream.s]\ntarget_doctype = "Item"',
			'DocType Item does not exist; write its fields under [table.Item], as title = "Data"; there are T',
		),
		('[stream.s]\ntarget_doctype = "Sales Item"', 'write its fields under [table."Sales Item"]'),
		('[stream.s]\ntarget_doctype = "t"', "did you mean T?"),
		('[stream.s]\nintegration = "crn"', "integration 'crn' does not exist; did you mean crm?"),
	],
)
def test_a_mistake_in_the_file_is_told_with_what_to_write(tmp_path, monkeypatch, lines, words):
	monkeypatch.setenv("HUB_KEY", Fernet.generate_key().decode())
	tables = {name: dict(rows) for name, rows in TABLES.items()}
	head, *settings = lines.splitlines()
	tables.setdefault(head.strip("[]"), {}).update(line.split(" = ", 1) for line in settings)
	(tmp_path / "hub.toml").write_text(text_of(tables))
	assert words in said("--config", tmp_path / "hub.toml", "status")


def test_a_file_may_begin_with_a_byte_order_mark(runtime):
	toml = runtime.file.folder / "hub.toml"
	toml.write_text(toml.read_text(), "utf-8-sig")
	assert "customers-full" in at(runtime, "status", code=0)


# Names and options


@pytest.mark.parametrize("command", [["sync"], ["preview"], ["reset"], ["sync", "--dry-run"]])
def test_a_stream_that_is_not_there_is_told_with_those_that_are(runtime, command):
	said_of_a_near_one = at(runtime, *command, "customer-full")
	assert "Sync Settings customer-full – does not exist; did you mean customers-full" in said_of_a_near_one
	others = at(runtime, *command, "xyzzy")
	assert "there are customers-cursor, customers-full, customers-incremental" in others
	assert runtime.db.query("SELECT * FROM `tabSync Log`") == []


@pytest.mark.parametrize(
	"command",
	[
		["events", "--integration", "cmr"],
		["replay", "--failed", "--integration", "cmr"],
		["consume", "cmr", "--once"],
	],
)
def test_an_integration_that_is_not_there_is_told_with_those_that_are(runtime, command):
	assert "Integration Settings cmr – does not exist; did you mean crm?" in at(runtime, *command)


@pytest.mark.parametrize(
	("words", "named"),
	[
		("events --limit -1", "--limit"),
		("events --limit 0", "--limit"),
		("preview customers-full --limit -1", "--limit"),
		("events --status dread", "--status"),
		("serve --port 99999", "--port"),
		("serve --port 0", "--port"),
		("serve --port http", "--port"),
		("serve --workers 0", "--workers"),
		("serve --threads -1", "--threads"),
		("sandbox --port 99999", "--port"),
		("sandbox --customers -1", "--customers"),
		("sandbox --period 0", "--period"),
		("sandbox --fault 500", "--fault"),
		("sandbox --fault 500=often", "--fault"),
		("sandbox --fault 500=2", "--fault"),
		("sandbox --fault fire=0.5", "--fault"),
		("demo --customers 0", "--customers"),
		("init --from other.toml", "--from"),
		("sync --until 2026-01-01", "--until"),
		("replay --since yesterday", "--since"),
	],
)
def test_an_option_that_cannot_be_is_refused_by_its_name(runtime, words, named):
	assert named in at(runtime, *words.split(), code=2)


@pytest.mark.parametrize(
	"host", ["192.0.2.1", "no-such-host.invalid", "x" * 70, "a\x00b", "2001:db8::1", "..", ""]
)
@pytest.mark.parametrize("command", ["serve", "sandbox"])
def test_a_host_that_is_not_of_this_machine_is_refused(runtime, command, host):
	if command == "sandbox" and not host:
		return  # all addresses
	assert at(runtime, command, "--host", host, "--port", "18787").startswith("Error: ")


def test_a_port_that_is_taken_is_refused(runtime):
	with socket.create_server(("127.0.0.1", 0)) as taken:
		port = taken.getsockname()[1]
		assert f"127.0.0.1:{port}" in at(runtime, "sandbox", "--port", port)


def test_the_state_of_events_may_be_written_in_any_case(runtime):
	assert "(none)" in at(runtime, "events", "--status", "dead", code=0)


def test_the_version_is_told():
	assert said("--version", code=0) == f"integration-hub {__version__}\n"


# The machine


def process(folder: Path, *words: str, before: str = "") -> tuple[int, str]:
	"""Run a command as a process of its own, in a folder, behind shell commands; return its code and what it says."""
	script = f'{before}\nexec "$@"'
	done = subprocess.run(
		["bash", "-ec", script, "-", *HUB, *words],
		cwd=folder,
		env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
		capture_output=True,
		text=True,
		timeout=120,
	)
	return done.returncode, done.stdout + done.stderr


def ends_in_a_line(found: tuple[int, str], *words: str) -> None:
	code, text = found
	assert code == 1 and "Traceback" not in text, text
	last = text.splitlines()[-1]
	assert last.startswith("Error: ") and all(word in last for word in words), text


@pytest.mark.parametrize("command", [["status"], ["sync"], ["serve"], ["work", "--once"], ["init"]])
def test_a_folder_that_is_not_there(tmp_path, command):
	toml = tmp_path / "no" / "such" / "hub.toml"
	if command == ["init"]:
		assert "Wrote" in said("--config", toml, *command, code=0)
	else:
		assert "hub.toml – does not exist; `integration-hub init` makes one" in said(
			"--config", toml, *command
		)


@pytest.mark.parametrize("command", [["status"], ["sync"], ["work", "--once"]])
def test_a_folder_in_the_place_of_the_file(tmp_path, command):
	assert "cannot be read" in said("--config", tmp_path, *command)


@pytest.mark.parametrize("path", ["file/hub.toml", "file/more/hub.toml"])
def test_a_file_in_the_place_of_the_folder(tmp_path, path):
	(tmp_path / "file").write_text("")
	for command in ("init", "status"):
		assert "file" in said("--config", tmp_path / path, command)


def test_a_database_that_is_none(runtime):
	for command in (["status"], ["sync"], ["events"], ["work", "--once"]):
		runtime.file.database.write_bytes(b"This is a letter, and no database. " * 100)
		for beside in ("-wal", "-shm"):
			runtime.file.database.with_name(runtime.file.database.name + beside).unlink(missing_ok=True)
		assert "hub.db – cannot be opened: file is not a database" in at(runtime, *command)


def test_a_database_that_is_broken_inside(runtime):
	at(runtime, "sync", "customers-full", code=0)
	runtime.close()
	content = bytearray(runtime.file.database.read_bytes())
	content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
	runtime.file.database.write_bytes(content)
	for command in (["status"], ["events"], ["sync", "customers-full"]):
		assert at(runtime, *command).splitlines()[-1].startswith("Error: ")


# Root may do anything, unless it gives that up.
ALONE = "setpriv --bounding-set=-dac_override,-dac_read_search"
HUMBLE = f'set -- {ALONE} "$@"' if os.geteuid() == 0 else ""
needs_setpriv = pytest.mark.skipif(
	os.geteuid() == 0 and bool(subprocess.run(f"{ALONE} true", shell=True, capture_output=True).returncode),
	reason="root may write anywhere here, and setpriv does not change that",
)


@needs_setpriv
@pytest.mark.parametrize("command", [["init"], ["sync"]])
def test_a_folder_that_cannot_be_written(tmp_path, crm, command):
	at_first = tmp_path / "hub"
	if command != ["init"]:
		said("--config", at_first / "hub.toml", "init", "--sandbox", crm.url, code=0)
		for path in at_first.glob("hub.db*"):
			path.unlink()
	at_first.mkdir(exist_ok=True)
	at_first.chmod(0o500)
	try:
		ends_in_a_line(process(at_first, *command, before=HUMBLE), "Permission denied")
	finally:
		at_first.chmod(0o700)


@needs_setpriv
def test_a_database_that_cannot_be_written(tmp_path, crm):
	said("--config", tmp_path / "hub.toml", "init", "--sandbox", crm.url, code=0)
	for path in tmp_path.glob("hub.db*"):
		path.chmod(0o400)
	ends_in_a_line(process(tmp_path, "sync", before=HUMBLE), "hub.db", "readonly database")


@pytest.mark.parametrize("blocks", [0, 64, 512])
def test_a_disk_that_is_full(tmp_path, crm, blocks):
	"""A limit of the size of files fails like a full disk: in the middle of a write."""
	said("--config", tmp_path / "hub.toml", "init", "--sandbox", crm.url, code=0)
	for path in tmp_path.glob("hub.db*"):
		path.unlink()
	code, text = process(tmp_path, "sync", "customers-full", before=f"ulimit -f {blocks}")
	assert "Traceback" not in text, text
	assert code == 0 or "hub.db" in text or "Not completed" in text, text


def test_a_terminal_that_knows_ascii_alone(runtime):
	code, text = process(runtime.file.folder, "sync", "nöpe", before="export PYTHONIOENCODING=ascii LC_ALL=C")
	assert code == 1 and "does not exist" in text and "Traceback" not in text


# What others have written


CONNECTOR = """
from integration_hub.connectors.base import BaseConnector

class Broken(BaseConnector):
	def pages(self, request):
		raise ZeroDivisionError("the secret is sandbox-client-secret")

	def get(self, *args, **options):
		raise ZeroDivisionError("the secret is sandbox-client-secret")
"""


@pytest.fixture
def broken(make_runtime):
	runtime = make_runtime(
		("[integration.crm]", '[integration.crm]\nconnector = "Broken"'),
		("[hub]", '[connectors]\nBroken = "broken_one.Broken"\n\n[hub]'),
	)
	(runtime.file.folder / "broken_one.py").write_text(CONNECTOR)
	return runtime


@pytest.mark.parametrize("command", [["preview", "customers-full"], ["sync", "customers-full", "--dry-run"]])
def test_a_connectors_own_exception_is_a_line_and_a_traceback_with_debug(broken, command):
	line = at(broken, *command)
	assert line.startswith("Error: ZeroDivisionError: ") and line.count("\n") == 1 and "--debug" in line
	shown = at(broken, "--debug", *command)
	assert "Traceback" in shown and "broken_one.py" in shown
	assert "sandbox-client-secret" not in line + shown


def test_each_command_says_what_it_is_for():
	for name, command in integration_hub.commands.items():
		output = said(name, "--help", code=0)
		assert command.help and len(command.help) > 25, name
		for parameter in command.params:
			assert isinstance(parameter, click.Argument) or parameter.help, f"{name} {parameter.name}"
		assert "Usage:" in output
