"""A site as the demo's stage: the example's documents for its time, and nothing of them afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import frappe

from integration_hub.runtime.frappe.import_hub_toml import load_into_site
from integration_hub.runtime.frappe.runtime import FrappeRuntime
from integration_hub.sandbox.example import TABLES
from integration_hub.stores.runtime import HubError

INTEGRATION = "crm"
STREAMS = ("customers-full", "customers-incremental", "customers-cursor")
LOGS = ("Sync Log", "Webhook Log", "Integration Error Log")


def demo_site(site: str) -> Callable[[Path], AbstractContextManager[tuple[FrappeRuntime, list[str]]]]:
	"""Return what sets a hub.toml up on a site for a block, which gets its runtime and the command that serves it.

	Raises HubError where the site has documents of the same names: they are somebody's.
	"""

	@contextmanager
	def on_site(toml: Path) -> Iterator[tuple[FrappeRuntime, list[str]]]:
		with FrappeRuntime.opened(site) as runtime:
			_refuse_to_overwrite()
			frappe.local.conf.integration_hub_allowed_hosts = ["127.0.0.1:*"]  # the sandbox, in this process
			try:
				list(load_into_site(runtime, toml, ""))
				for stream in STREAMS:  # the demo runs them, and the scheduler does not
					frappe.db.set_value("Sync Settings", stream, {"schedule": "Off", "next_run_at": None})
				frappe.db.commit()
				command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "--site", site]
				yield runtime, [*command, "integration-hub"]
			finally:
				frappe.db.rollback()
				_clear()

	return on_site


def _refuse_to_overwrite() -> None:
	for doctype, names in (
		("Integration Settings", (INTEGRATION,)),
		("Sync Settings", STREAMS),
		("DocType", tuple(TABLES.values())),
	):
		for name in names:
			if frappe.db.exists(doctype, name):
				raise HubError("exists; the demo would use this name", doctype=doctype, name=name)


def _clear() -> None:
	for doctype in LOGS:
		frappe.db.delete(doctype, {"integration": INTEGRATION})
	frappe.db.delete("Webhook Route", {"parent": INTEGRATION})
	for doctype, names in (
		("Sync Settings", STREAMS),
		("Integration Settings", (INTEGRATION,)),
		("DocType", TABLES.values()),
	):
		for name in names:
			frappe.delete_doc(doctype, name, ignore_missing=True, force=True)
	for name in TABLES.values():
		frappe.db.sql_ddl(f"DROP TABLE IF EXISTS `tab{name}`")  # Frappe keeps the table of a deleted DocType
	frappe.db.commit()
