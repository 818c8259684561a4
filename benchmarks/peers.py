"""REST into MariaDB, whole processes: ours on a site in Bulk, and dlt in its best configuration.

From the bench's sites folder: ../env/bin/python -m benchmarks.peers SITE  (this checkout on PYTHONPATH).
dlt gets an environment of its own in a temporary folder (or HUB_BENCHMARK_DLT: a Python that has it), and a database
of its own, for which FRAPPE_DB_ROOT_USERNAME and FRAPPE_DB_ROOT_PASSWORD are needed. Both read the same CRM, by pages
of 1,000, and merge by key: a first load, then the whole list again with a tenth of it changed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import frappe
import pymysql
import requests
from frappe.installer import update_site_config

from benchmarks.connectors import sandbox_process
from benchmarks.figures import ROUNDS, Figure, say, size
from benchmarks.sync_on_site import DOCTYPE, make_doctype
from integration_hub.sandbox.access import API_KEY
from integration_hub.sandbox.example import FIELDS

NAME = "hub-benchmark"
COUNT, PAGE = size(20_000, quick=2000), 1000
DATABASE = "hub_benchmark_dlt"
_DLT = f'''
import sys, dlt, pyarrow, requests
url, dsn, folder = sys.argv[1:]

key = {{"id": {{"data_type": "text", "precision": 140}}}}  # MariaDB indexes no text without a length

@dlt.resource(name="customer", primary_key="id", write_disposition="merge", columns=key)
def customers():
	with requests.Session() as session:
		session.headers["X-API-Key"] = "{API_KEY}"
		page, more = 1, True
		while more:
			answer = session.get(url + "/v1/customers/page", params={{"page": page, "limit": {PAGE}}}).json()
			yield pyarrow.Table.from_pylist(answer["data"])
			page, more = page + 1, answer["has_more"]

destination = dlt.destinations.sqlalchemy(dsn, create_primary_keys=True)
pipeline = dlt.pipeline("peer", destination=destination, dataset_name="{DATABASE}", pipelines_dir=folder)
pipeline.run(customers()).raise_on_failed_jobs()
'''


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


class Dlt:
	"""The peer. It keeps what it has loaded in a folder, as it would from one run to the next."""

	name = "dlt"

	def __init__(self, folder: Path, url: str):
		self._folder, self._url, self._rounds = folder, url, 0
		self._python = os.environ.get("HUB_BENCHMARK_DLT") or _environment(folder / "env")
		(folder / "peer.py").write_text(_DLT)

	def clear(self) -> None:
		self._rounds += 1
		as_root(*(f"DROP DATABASE IF EXISTS `{name}`" for name in (DATABASE, f"{DATABASE}_staging")))
		as_root(f"CREATE DATABASE `{DATABASE}`")

	def load(self) -> None:
		given = root()
		dsn = "mysql+pymysql://{user}:{password}@{host}:{port}/".format(**given) + DATABASE
		state = self._folder / f"state-{self._rounds}"
		_run([self._python, str(self._folder / "peer.py"), self._url, dsn, str(state)])

	def count(self) -> int:
		return as_root(f"SELECT COUNT(*) FROM `{DATABASE}`.`customer`")[0][0]

	def close(self) -> None:
		as_root(*(f"DROP DATABASE IF EXISTS `{name}`" for name in (DATABASE, f"{DATABASE}_staging")))


class Ours:
	"""A Full stream in Bulk, run by the command line."""

	name = "ours, Bulk"

	def __init__(self, site: str, url: str):
		self._site = site
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
		_run([*hub, "integration-hub", "sync", NAME])

	def count(self) -> int:
		frappe.db.commit()
		return frappe.db.count(DOCTYPE)

	def close(self) -> None:
		_remove()


def measure(ours: Ours, dlt: Dlt, url: str) -> Iterator[Figure]:
	took: dict[str, list[float]] = {}
	for _ in range(ROUNDS):  # by turns, so that both meet the same machine
		for one in (ours, dlt):
			one.clear()
			took.setdefault(f"{one.name}, first load", []).append(_timed(one.load))
			assert one.count() == COUNT, (one.name, one.count())
		requests.post(f"{url}/_sandbox/change", json={"update": COUNT // 10}, timeout=60)
		for one in (ours, dlt):
			took.setdefault(f"{one.name}, again, 10% changed", []).append(_timed(one.load))
			assert one.count() == COUNT, (one.name, one.count())
	medians = {name: statistics.median(rounds) for name, rounds in took.items()}
	yield from (Figure(name, COUNT / seconds, "records/s") for name, seconds in medians.items())
	for step in ("first load", "again, 10% changed"):
		yield Figure(f"ours / dlt, {step}", medians[f"dlt, {step}"] / medians[f"ours, Bulk, {step}"], "×")


def _timed(work) -> float:
	started = time.perf_counter()
	work()
	return time.perf_counter() - started


def _run(command: list[str]) -> None:
	done = subprocess.run(command, capture_output=True, text=True, check=False)
	if done.returncode:
		raise RuntimeError(
			f"{command[:4]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
		)


def _environment(folder: Path) -> str:
	"""Make dlt's own environment; return its Python."""
	print("Installing dlt into a temporary folder", flush=True)
	_run([sys.executable, "-m", "venv", str(folder)])
	_run([str(folder / "bin/pip"), "install", "-q", "dlt[sqlalchemy]", "pymysql", "pyarrow", "requests"])
	return str(folder / "bin/python")


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
	update_site_config("integration_hub_allowed_hosts", ["127.0.0.1"], validate=False)
	try:
		yield
	finally:
		update_site_config("integration_hub_allowed_hosts", before or "None", validate=False)


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	with tempfile.TemporaryDirectory() as folder, sandbox_process(0, COUNT) as url, _sandbox_allowed():
		ours, dlt = Ours(site, url), Dlt(Path(folder), url)
		try:
			say(list(measure(ours, dlt, url)))
		finally:
			ours.close()
			dlt.close()


if __name__ == "__main__":
	main(sys.argv[1])
