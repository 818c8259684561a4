"""Support for the site tests: one test case class for v15 and v16, the example settings, a worker, an endpoint."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import frappe
from frappe import _
from frappe.utils.background_jobs import get_queue
from werkzeug.serving import make_server

from integration_hub.integration_hub.charts import CACHED
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.import_hub_toml import load_into_site
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.example import FIELDS, TABLES
from integration_hub.sandbox.redis import free_port

try:
	from frappe.tests import IntegrationTestCase
except ImportError:  # v15
	from frappe.tests.utils import FrappeTestCase as IntegrationTestCase

LOGS = ("Sync Log", "External Record", "Webhook Log", "Integration Error Log")
STREAMS = ("customers-full", "customers-incremental", "customers-cursor")


def drop_doctypes(*names: str) -> None:
	"""Delete DocTypes that a test has made, with their tables, so that uninstalling finds nothing that stays behind."""
	frappe.db.rollback()
	frappe.set_user("Administrator")
	for name in names:
		frappe.delete_doc("DocType", name, force=True, ignore_missing=True)
		frappe.db.commit()
		frappe.db.sql_ddl(f"DROP TABLE IF EXISTS `tab{name}`")
		frappe.db.commit()  # on Postgres, DDL is part of a transaction


class HubTestCase(IntegrationTestCase):
	"""A sandbox CRM for each test, and the site connected to it by the example's settings, with no state.

	The engine commits, so a test cleans up before itself instead of rolling back after.
	"""

	write_mode: ClassVar[str] = "Documents"

	def setUp(self) -> None:
		super().setUp()
		frappe.db.rollback()  # SQLite refuses to write from a snapshot that another connection has outdated
		frappe.set_user("Administrator")
		forget_jobs()
		self.crm = Sandbox(customers=120)
		self.crm.__enter__()
		self.addCleanup(self.crm.stop)
		self.runtime = FrappeRuntime()
		frappe.cache.delete_keys(CACHED)
		self.runtime.drain_begins("crm")  # of an earlier test
		self.clear()
		list(load_into_site(self.runtime, None, self.crm.url))
		with self.runtime.connector("crm") as connector:
			connector.reset()  # what an earlier test has shared through Redis
		for stream in STREAMS:
			frappe.db.set_value("Sync Settings", stream, "write_mode", self.write_mode)
		frappe.db.set_value("Integration Settings", "crm", {"backoff_min": 0.01, "backoff_max": 0.1})
		frappe.db.commit()

	def clear(self) -> None:
		for doctype in (*LOGS, *TABLES.values()):
			if frappe.db.table_exists(doctype):
				frappe.db.delete(doctype)
		frappe.db.delete("Webhook Route")
		for doctype in ("Sync Settings", "Integration Settings"):
			for name in frappe.get_all(doctype, pluck="name"):
				frappe.delete_doc(doctype, name, force=True)
		frappe.db.commit()

	def assertSame(self, kind: str) -> None:
		"""Assert that a target DocType equals the sandbox's data, record for record."""
		frappe.db.commit()  # a new snapshot
		rows = frappe.get_all(TABLES[kind], fields=list(FIELDS), order_by="customer_id", limit_page_length=0)
		source = [
			{**{ours: row[theirs] for ours, theirs in FIELDS.items()}, "active": int(row["active"])}
			for row in self.crm.customers.alive()
		]
		self.assertEqual([dict(row) for row in rows], source)


def on_screen(doctype: str, name: str) -> str:
	"""Return a document as messages name it: by the word for its DocType, which `en.po` has once it is compiled."""
	return f"{_(doctype)} {name}"


def errors() -> list[Any]:
	frappe.db.commit()
	return frappe.get_all("Integration Error Log", fields=["*"], order_by="name")


def connection_number() -> int:
	"""Return what the database's server calls the current connection."""
	[[number]] = frappe.db.sql(f"SELECT {_NUMBER[frappe.db.db_type]}")
	return number


def cut(connection: int) -> None:
	"""Have the server end a connection, as it does when it is stopped."""
	frappe.db.sql(_CUT[frappe.db.db_type] % connection)


_NUMBER = {"mariadb": "CONNECTION_ID()", "postgres": "pg_backend_pid()"}
_CUT = {"mariadb": "KILL CONNECTION %d", "postgres": "SELECT pg_terminate_backend(%d)"}


def forget_jobs() -> None:
	"""Take the jobs that other tests have left off the queues: only this site's, a bench may have others."""
	for name in ("default", "long"):
		for job in get_queue(name).get_jobs():
			if job.kwargs.get("site") == frappe.local.site:
				job.delete()


def work() -> None:
	"""Have a real RQ worker, in a process of its own, do what is queued."""
	command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "worker"]
	subprocess.run(
		[*command, "--burst", "--quiet", "--queue", "default,long"],
		cwd=frappe.local.sites_path,
		check=True,
		timeout=300,
		stdout=subprocess.DEVNULL,
	)
	frappe.db.commit()


@contextmanager
def site_endpoint() -> Iterator[str]:
	"""Serve the site by Frappe's own WSGI application; give the URL events are posted to."""
	import frappe.app

	site, sites_path = frappe.local.site, frappe.local.sites_path
	previous = frappe.app._site, frappe.app._sites_path
	frappe.app._site, frappe.app._sites_path = site, sites_path
	server = make_server("127.0.0.1", 0, frappe.app.application, threaded=True)
	thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
	thread.start()
	try:
		yield f"http://127.0.0.1:{server.server_port}/api/method/integration_hub.api.webhook/crm"
	finally:
		server.shutdown()
		thread.join()
		frappe.app._site, frappe.app._sites_path = previous


@contextmanager
def gunicorn_endpoint() -> Iterator[str]:
	"""Serve the site as a bench in production does, in a process of its own; give the URL events are posted to.

	A request names its site in the header X-Frappe-Site-Name.
	"""
	port = free_port()
	command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--timeout", "120"]
	environment = {**os.environ, "SITES_PATH": "."}
	process = subprocess.Popen(
		[*command, "frappe.app:application"],
		cwd=frappe.local.sites_path,
		env=environment,
		stderr=subprocess.DEVNULL,
	)
	try:
		for _ in range(300):
			with suppress(OSError):
				socket.create_connection(("127.0.0.1", port), 1).close()
				break
			time.sleep(0.1)
		yield f"http://127.0.0.1:{port}/api/method/integration_hub.api.webhook/crm"
	finally:
		process.terminate()
		process.wait(30)
