"""REST into MariaDB, whole processes: ours on a site in Bulk, and dlt in its best configuration.

From the bench's sites folder: ../env/bin/python -m benchmarks.peers SITE  (this checkout on PYTHONPATH).
dlt gets an environment of its own in a temporary folder (or HUB_BENCHMARK_DLT: a Python that has it), and a database
of its own, for which FRAPPE_DB_ROOT_USERNAME and FRAPPE_DB_ROOT_PASSWORD are needed. Both read the same CRM, by pages
of 1,000, and merge by key: a first load, then the whole list again with a tenth of it changed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import frappe
import pymysql
from frappe.installer import update_site_config

from benchmarks.connectors import sandbox_process
from benchmarks.dlt_peer import DATASET, PAGE, Dlt, race, run
from benchmarks.figures import say, size
from benchmarks.sync_on_site import DOCTYPE, make_doctype
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.sandbox.access import API_KEY
from integration_hub.sandbox.example import FIELDS
from integration_hub.sync.run import run_stream

NAME = "hub-benchmark"
COUNT = size(20_000, quick=2000)


def root() -> dict[str, object]:
	"""Return how MariaDB's administrator connects."""
	return {
		"host": frappe.conf.db_host or "127.0.0.1",
		"port": int(frappe.conf.db_port or 3306),
		"user": os.environ.get("FRAPPE_DB_ROOT_USERNAME") or frappe.conf.get("root_login") or "root",
		"password": os.environ.get("FRAPPE_DB_ROOT_PASSWORD") or frappe.conf.get("root_password") or "",
	}


def as_root(*statements: str) -> list[tuple]:
	connection = pymysql.connect(**root(), autocommit=True)
	with connection, connection.cursor() as cursor:
		for statement in statements:
			cursor.execute(statement)
		return list(cursor.fetchall())


def drop() -> None:
	"""Remove what dlt has written."""
	as_root(*(f"DROP DATABASE IF EXISTS `{name}`" for name in (DATASET, f"{DATASET}_staging")))
	as_root(f"CREATE DATABASE `{DATASET}`")


def written() -> int:
	return as_root(f"SELECT COUNT(*) FROM `{DATASET}`.`customer`")[0][0]


class Ours:
	"""A Full stream in Bulk, run by the command line."""

	name = "ours, Bulk"

	def __init__(self, site: str, url: str):
		self._site, self._runtime = site, FrappeRuntime()
		_remove()
		make_doctype()
		frappe.get_doc(_integration(url)).insert()
		frappe.get_doc(_stream()).insert()
		frappe.db.commit()

	def clear(self) -> None:
		frappe.db.delete(DOCTYPE)
		frappe.db.delete("External Record", {"stream": NAME})
		frappe.db.commit()

	def load(self) -> None:
		hub = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "--site", self._site]
		run([*hub, "integration-hub", "sync", NAME])

	def load_here(self) -> None:
		"""As a worker does, which is there already."""
		assert run_stream(self._runtime, NAME)["status"] == "Completed"

	def count(self) -> int:
		frappe.db.commit()
		return frappe.db.count(DOCTYPE)

	def close(self) -> None:
		_remove()


def _integration(url: str) -> dict[str, object]:
	return {
		"doctype": "Integration Settings",
		"integration_name": NAME,
		"base_url": url,
		"auth_type": "API Key Header",
		"api_key_name": "X-API-Key",
		"secret": API_KEY,
	}


def _stream() -> dict[str, object]:
	mapping = [{"source_path": theirs, "field": ours} for ours, theirs in FIELDS.items()]
	return {
		"doctype": "Sync Settings",
		"stream_name": NAME,
		"integration": NAME,
		"mode": "Full",
		"schedule": "Off",
		"endpoint": "/v1/customers/page",
		"records_path": "data",
		"updated_at_path": "updated_at",
		"pagination": "Page Number",
		"page_size": PAGE,
		"more_path": "has_more",
		"target_doctype": DOCTYPE,
		"write_mode": "Bulk",
		"mapping": mapping,
	}


def _remove() -> None:
	frappe.db.rollback()
	for doctype in ("Sync Log", "External Record"):
		frappe.db.delete(doctype, {"stream": NAME})
	frappe.delete_doc("Sync Settings", NAME, ignore_missing=True, force=True)
	frappe.delete_doc("Integration Settings", NAME, ignore_missing=True, force=True)
	frappe.delete_doc("DocType", DOCTYPE, ignore_missing=True, force=True)
	frappe.db.sql_ddl(f"DROP TABLE IF EXISTS `tab{DOCTYPE}`")
	frappe.db.commit()


@contextmanager
def _sandbox_allowed() -> Iterator[None]:
	"""Let the site call this machine, where the CRM is."""
	before = frappe.conf.get("integration_hub_allowed_hosts")
	update_site_config("integration_hub_allowed_hosts", ["127.0.0.1:*"], validate=False)
	try:
		yield
	finally:
		update_site_config("integration_hub_allowed_hosts", before or "None", validate=False)


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	with tempfile.TemporaryDirectory() as folder, sandbox_process(0, COUNT) as url, _sandbox_allowed():
		dsn = "mysql+pymysql://{user}:{password}@{host}:{port}/".format(**root()) + DATASET
		ours, dlt = Ours(site, url), Dlt(Path(folder), url, dsn, drop, written)
		try:
			say(list(race(ours, dlt, url, COUNT)))
		finally:
			ours.close()
			as_root(*(f"DROP DATABASE IF EXISTS `{name}`" for name in (DATASET, f"{DATASET}_staging")))


if __name__ == "__main__":
	main(sys.argv[1])
