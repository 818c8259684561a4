"""A run on a site: its settings loaded, its allowed hosts widened for the time, everything taken away again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import frappe
from frappe.installer import update_site_config
from frappe.utils import background_jobs

from chaos import effects
from chaos.mariadb import MariaDB
from chaos.settings import INTEGRATIONS, STREAMS
from chaos.stage import Stage
from integration_hub.homes.site import SiteHome
from integration_hub.homes.site.load import load_into_site
from integration_hub.sandbox.example import TABLES
from integration_hub.stores.home import HubError

_LOGS = ("Sync Log", "External Record", "Webhook Log", "Integration Error Log")
_SETTINGS = ("Integration Settings", "Sync Settings", "Webhook Route", "Sync Field Mapping")
_FRAPPE = ("Error Log", "Version", "Activity Log", "Scheduled Job Log", "Comment")
_JOBS = ("integration_hub.jobs.drain_inbox", "frappe.model.delete_doc.delete_dynamic_links")
_HOSTS = "integration_hub_allowed_hosts"


@contextmanager
def opened(site: str) -> Iterator[SiteHome]:
	"""Open a site whose events the run's handler handles: hooks know the handlers of installed apps alone."""
	SiteHome.handlers = lambda _: {"note": effects.HANDLER}
	# Where nobody works off the bench's queue, Frappe would refuse to delete documents after 500 of them.
	background_jobs._check_queue_size = lambda queue: None
	with SiteHome.opened(site) as home:
		yield home


def site_stage(site: str, mariadb: MariaDB | None = None) -> Callable[[Path], AbstractContextManager[Stage]]:
	"""Return what sets a run up on a site. Raises HubError where the site has documents of the same names."""

	@contextmanager
	def stage(folder: Path) -> Iterator[Stage]:
		with opened(site) as home:
			_refuse_to_overwrite()
			before = frappe.conf.get(_HOSTS)
			update_site_config(_HOSTS, ["127.0.0.1"], validate=False)
			try:
				_prepare(home, folder / "hub.toml")
				yield _stage(home, site, mariadb)
			finally:
				home.reconnect()
				if not mariadb:  # else the site goes as a whole
					_clear()
				_forget_jobs(site)
				update_site_config(_HOSTS, before or "None", validate=False)

	return stage


def _stage(home: SiteHome, site: str, mariadb: MariaDB | None) -> Stage:
	frappe_command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "--site", site]
	sites = Path(frappe.local.sites_path).resolve()
	doctypes = [
		name for name in (*_LOGS, *_SETTINGS, *TABLES.values(), *_FRAPPE) if frappe.db.table_exists(name)
	]
	return Stage(
		home=home,
		opened=lambda: opened(site),
		place=f"the site {site}, Frappe {frappe.__version__}, {frappe.db.db_type}",
		hub=[*frappe_command, "integration-hub"],
		worker=["--site", site],
		cwd=sites,
		logs=[sites / site / "logs", sites.parent / "logs"],
		tables=[*(f"tab{name}" for name in doctypes), "tabSingles", effects.TABLE],
		database=mariadb,
	)


def _prepare(home: SiteHome, toml: Path) -> None:
	list(load_into_site(home, toml, ""))
	frappe.db.sql_ddl(effects.create(home))
	with home.connector("crm") as connector:
		connector.reset()  # what an earlier run has left in Redis
	frappe.db.commit()


def _refuse_to_overwrite() -> None:
	for doctype, names in (
		("Integration Settings", INTEGRATIONS),
		("Sync Settings", STREAMS),
		("DocType", tuple(TABLES.values())),
	):
		for name in names:
			if frappe.db.exists(doctype, name):
				raise HubError("exists; the run would use this name", doctype=doctype, name=name)


def _forget_jobs(site: str) -> None:
	"""Take the run's jobs off the bench's queue, where no worker has done so."""
	for queue in background_jobs.get_queues():
		for job in queue.jobs:
			if job.kwargs.get("site") == site and job.kwargs.get("method") in _JOBS:
				job.delete()


def _clear() -> None:
	frappe.db.rollback()
	for doctype in _LOGS:
		field = "stream" if doctype == "External Record" else "integration"
		frappe.db.delete(doctype, {field: ["in", STREAMS if field == "stream" else INTEGRATIONS]})
	frappe.db.delete("Webhook Route", {"parent": ["in", INTEGRATIONS]})
	for doctype, names in (
		("Sync Settings", STREAMS),
		("Integration Settings", INTEGRATIONS),
		("DocType", TABLES.values()),
	):
		for name in names:
			frappe.delete_doc(doctype, name, ignore_missing=True, force=True)
	for table in (*(f"tab{name}" for name in TABLES.values()), effects.TABLE):
		frappe.db.sql_ddl(f"DROP TABLE IF EXISTS `{table}`")
	frappe.db.commit()
