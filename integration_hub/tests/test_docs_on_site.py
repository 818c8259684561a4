"""What the documentation shows for a site is run on it; what a bench alone does is read as bench reads it."""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest
from unittest.mock import patch

import click
import frappe
import redis
from click.testing import CliRunner
from frappe.utils.bench_helper import get_app_commands

import integration_hub
from integration_hub.commands import integration_hub as hub
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.runtime import allowed_hosts
from integration_hub.sandbox.access import API_KEY, CLIENT_SECRET
from integration_hub.sandbox.example import TABLES, hub_toml
from integration_hub.sandbox.sender import SECRET
from integration_hub.stores import inbox
from integration_hub.stores.inbox import Event
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, site_endpoint
from integration_hub.webhooks.drain import drain

ROOT = Path(integration_hub.__file__).parent.parent
RUN_ELSEWHERE = ("demo", "sandbox", "serve")  # with fewer records, or as long as a test does
PAGES = "README.md docs/*.md"


def pages() -> list[Path]:
	found = [page for pattern in PAGES.split() for page in sorted(ROOT.glob(pattern))]
	if not found:
		raise SkipTest("the app was installed without its docs")
	return found


def fenced(language: str, page: str) -> list[str]:
	text = (ROOT / page).read_text()
	return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)


def bench_lines() -> Iterator[list[str]]:
	"""Return the words behind `bench` of each line that a person would type, once."""
	seen = set()
	for page in pages():
		text = page.read_text()
		prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
		lines = [line for block in fenced("sh", page) for line in block.splitlines()]
		for line in [*lines, *re.findall(r"`(bench [^`…]+)`", prose)]:
			if line.startswith("bench ") and "…" not in line:
				words = shlex.split(line.replace("<owner>", "owner"), comments=True)[1:]
				if tuple(words) not in seen:
					seen.add(tuple(words))
					yield words


class TestDocs(HubTestCase):
	def test_every_command_of_the_hub_runs_on_a_site(self):
		"""As a person would type them, on a site that has what they name: a held run, an event, a conflict."""
		self.enterContext(
			patch(
				"integration_hub.commands.base.runtime_opener", lambda _: lambda: nullcontext(FrappeRuntime())
			)
		)
		self.enterContext(
			patch.dict("os.environ", CRM_CLIENT_SECRET=CLIENT_SECRET, CRM_WEBHOOK_SECRET=SECRET)
		)
		self.enterContext(patch.dict("os.environ", HUB_KEY="not used on a site"))
		self.enterContext(patch.dict(frappe.conf, external_redis_url=frappe.conf.redis_queue))
		file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "hub.toml"
		file.write_text(hub_toml(self.crm.url))
		frappe.get_doc(
			{
				"doctype": "Integration Settings",
				"integration_name": "shop",
				"base_url": self.crm.url,
				"queue_enabled": 1,
				"queue_name": f"{frappe.local.site}_docs",
			}
		).insert()
		frappe.db.set_value("Integration Settings", "crm", "backoff_max", 1)  # the example's shortest is 0.2
		frappe.db.commit()
		ran = 0
		for words in bench_lines():
			if (
				words[:3] != ["--site", "SITE", "integration-hub"]
				or words[3] in RUN_ELSEWHERE
				or not words[4:]
			):
				continue
			self.prepare()
			words = [
				{
					"EVENT": self.event,
					"RUN": self.run_name,
					"FAILURE": self.failure,
					"hub.toml": str(file),
				}.get(w, w)
				for w in words[3:]
			]
			if "--conflict" in words:
				words[1] = self.conflict
			if words[0] == "consume":
				words = [*dict.fromkeys([*words, "--once"])]
			done = CliRunner().invoke(hub, words, obj={"sites": [frappe.local.site]})
			self.assertEqual(done.exit_code, 0, f"{words}: {done.output}")
			ran += 1
		for name in ("init", "status", "sync"):  # without more words, as in the first steps
			words = [name, *(["--sandbox", self.crm.url] if name == "init" else [])]
			done = CliRunner().invoke(hub, words, obj={"sites": [frappe.local.site]})
			self.assertEqual(done.exit_code, 0, f"{words}: {done.output}")
		self.assertGreater(ran, 10)

	def prepare(self) -> None:
		"""Have a run whose deletions wait, an event, and one that is in conflict with it."""
		frappe.db.delete("Webhook Log")
		frappe.db.commit()
		for body in ("a", "b"):
			inbox.store(self.runtime, [Event("crm", "1", "customer.updated", '{"data": {}}', body, "HTTP")])
		find = {"Queued": "event", "Conflict": "conflict"}
		for row in frappe.get_all("Webhook Log", fields=["name", "status"]):
			setattr(self, find[row.status], row.name)
		held = frappe.get_all("Sync Log", filters={"status": "Needs Approval"}, pluck="name")
		if not held:
			self.crm.change(create=150)
			run_stream(self.runtime, "customers-full")
			self.crm.change(delete=140)
			held = [run_stream(self.runtime, "customers-full")["name"]]
		self.run_name = held[0]
		self.failure = self.runtime.log_error(
			ValueError("it failed"), integration="crm", operation="Sync", stream="customers-incremental"
		)
		frappe.db.commit()

	def test_the_sandbox_sends_an_event_twice(self):
		"""The last of the five steps of docs/getting-started.md."""
		[script] = [block for block in fenced("sh", "docs/getting-started.md") if "http://SITE:8000" in block]
		with site_endpoint() as url:
			script = re.sub(
				r"http://SITE:8000/\S+/crm", url, script.replace("http://127.0.0.1:8765", self.crm.url)
			)
			done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=60)
		self.assertEqual(done.returncode, 0, done.stderr)
		drain(self.runtime, "crm")
		frappe.db.commit()
		rows = frappe.get_all("Webhook Log", fields=["status", "deliveries"])
		self.assertEqual([dict(row) for row in rows], [{"status": "Completed", "deliveries": 2}])

	def test_the_demo(self):
		"""As docs/getting-started.md has it, with fewer customers; it takes away what it made."""
		if not find_spec("rich"):
			self.skipTest("rich is not installed")
		self.clear()
		for name in TABLES.values():
			frappe.delete_doc("DocType", name, force=True)
			frappe.db.sql_ddl(f"DROP TABLE IF EXISTS `tab{name}`")
		frappe.db.commit()
		command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "--site", frappe.local.site]
		done = subprocess.run(
			[*command, "integration-hub", "demo", "--customers", "100"],
			cwd=frappe.local.sites_path,
			capture_output=True,
			text=True,
			timeout=300,
		)
		self.assertIn("demo: ok", done.stdout, done.stderr)
		frappe.db.commit()
		self.assertFalse(frappe.get_all("Integration Settings") + frappe.get_all("Sync Settings"))

	def test_a_connector_of_code(self):
		"""The block of docs/connectors.md, against the sandbox."""
		[code] = fenced("py", "docs/connectors.md")
		shop = {
			"doctype": "Integration Settings",
			"integration_name": "shop",
			"base_url": f"{self.crm.url}/v1",
		}
		frappe.get_doc({**shop, "auth_type": "API Key Header", "secret": API_KEY}).insert()
		frappe.db.commit()
		before = len(self.crm.customers.alive())
		exec(code.replace("CUST-1", "CUST-000001"), {"frappe": frappe})
		self.assertEqual(len(self.crm.customers.alive()), before + 1)

	def test_the_hosts_of_site_config(self):
		for page in ("docs/connectors.md", "docs/security.md"):
			[text] = fenced("json", page)
			with patch.dict(frappe.conf, frappe.parse_json(text), developer_mode=0):
				self.assertEqual(allowed_hosts(), ["erp.internal", "10.0.0.7:8443"])

	def test_commands_of_frappe_and_bench_exist_with_their_options(self):
		known, left = get_app_commands("frappe"), []
		for words in bench_lines():
			words = words[2:] if words[0] == "--site" else words
			if not words or words[0] == "integration-hub":
				continue
			if command := known.get(words[0]):
				try:  # as click reads it; nothing is run
					command.make_context(words[0], words[1:])
				except click.exceptions.UsageError as error:
					self.fail(f"{words}: {error.format_message()}")
			else:
				left.append(words)
		for words in left:
			self.check_bench(words)

	def check_bench(self, words: list[str]) -> None:
		"""Have bench say what a command of its own takes; new ones of Frappe 16 are not there before."""
		if words[0] in ("generate-pot-file", "create-po-file"):
			self.assertLess(int(frappe.__version__.split(".")[0]), 16, words)
			return
		if not shutil.which("bench"):
			return
		group = 2 if words[0] == "setup" else 1
		bench = Path(frappe.local.sites_path).resolve().parent
		done = subprocess.run(
			["bench", *words[:group], "--help"], cwd=bench, capture_output=True, text=True, timeout=60
		)
		self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
		for option in words[group:]:
			if option.startswith("--"):
				self.assertIn(option, done.stdout, words)

	def enterContext(self, context):  # Python 3.10 has none
		value = context.__enter__()
		self.addCleanup(context.__exit__, None, None, None)
		return value

	def tearDown(self):
		with suppress(redis.exceptions.RedisError), redis.from_url(frappe.conf.redis_queue) as client:
			for key in client.scan_iter(f"{frappe.local.site}_docs*"):
				client.delete(key)
		super().tearDown()
