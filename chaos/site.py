"""A run on a site: its settings loaded, its allowed hosts widened for the time, everything taken away again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import frappe
from frappe.installer import update_site_config
from frappe.utils import background_jobs, now_datetime

from chaos import effects
from chaos.deployment import Command, Deployment, Endpoint
from chaos.mariadb import MariaDB
from chaos.settings import INTEGRATIONS, STREAMS
from chaos.site_services import SiteServices
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.import_hub_toml import load_into_site
from integration_hub.sandbox.example import TABLES
from integration_hub.stores.runtime import HubError, Runtime

_LOGS = ("Sync Log", "External Record", "Webhook Log", "Integration Error Log")
_HOSTS = "integration_hub_allowed_hosts"
_QUEUES = ("default,short", "long,short", "short,default,long", "long,default,short")  # of a worker each
_CONNECTIONS = {
	"mariadb": (
		"SELECT `ID` AS `id` FROM information_schema.PROCESSLIST WHERE `ID` <> CONNECTION_ID() "
		"AND `USER` = SUBSTRING_INDEX(USER(), '@', 1)",
		"KILL %s",
	),
	"postgres": (
		"SELECT pid AS id FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()",
		"SELECT pg_terminate_backend(%s)",
	),
}


def know_handler() -> None:
	"""Have this process know the run's handler: hooks know the handlers of installed apps alone."""
	FrappeRuntime.handlers = lambda _: {"note": effects.HANDLER}
	# Where workers are killed faster than they work, Frappe would refuse to delete documents after 500 of them.
	background_jobs._check_queue_size = lambda queue: None


@contextmanager
def opened(site: str) -> Iterator[FrappeRuntime]:
	"""Open a site whose events the run's handler handles."""
	know_handler()
	with FrappeRuntime.opened(site) as runtime:
		yield runtime


def site_deployment(
	site: str, mariadb: MariaDB | None = None
) -> Callable[[Path], AbstractContextManager[Deployment]]:
	"""Return what sets a run up on a site. Raises HubError where the site has documents of the same names."""

	@contextmanager
	def deployment(folder: Path) -> Iterator[Deployment]:
		with SiteServices(site, folder).open() as services, opened(site) as runtime:
			_refuse_to_overwrite()
			before, began = frappe.conf.get(_HOSTS), now_datetime()
			update_site_config(_HOSTS, ["127.0.0.1:*"], validate=False)
			try:
				_prepare(runtime, folder / "hub.toml")
				yield _deployment(runtime, site, services, mariadb)
			finally:
				runtime.reconnect()
				if not mariadb:  # else the site goes as a whole
					_clear(began)
				update_site_config(_HOSTS, before or "None", validate=False)

	return deployment


def _deployment(
	runtime: FrappeRuntime, site: str, services: SiteServices, mariadb: MariaDB | None
) -> Deployment:
	frappe_command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "--site", site]
	sites = Path(frappe.local.sites_path).resolve()
	return Deployment(
		runtime=runtime,
		opened=lambda: opened(site),
		place=f"the site {site}, Frappe {frappe.__version__}, {frappe.db.db_type}",
		hub=[*frappe_command, "integration-hub"],
		cwd=sites,
		processes=_processes(site, services.web_port),
		network_paths=services.network_paths,
		endpoints=[
			Endpoint(
				"web",
				"/api/method/integration_hub.api.webhook/crm",
				"/api/method/frappe.ping",
				{"X-Frappe-Site-Name": site},
			)
		],
		servers=services.servers,
		elapse=services.elapse,
		disconnect=_disconnect if frappe.db.db_type in _CONNECTIONS else None,
		logs=[sites / site / "logs", sites.parent / "logs"],
		tables=_tables(runtime),
		database=mariadb,
		pace=3,  # each job is a process, and each document that goes a job more
	)


def _processes(site: str, web_port: int) -> dict[str, Command]:
	"""Return what a bench runs: a web server, workers, a scheduler."""
	python = sys.executable
	bind = ["-b", f"127.0.0.1:{web_port}", "--workers", "2", "--timeout", "120", "--preload"]
	processes = {"web": Command([python, "-m", "gunicorn", *bind, "frappe.app:application"], ours=False)}
	for number, queues in enumerate(_QUEUES, 1):
		line = [python, "-m", "chaos.rq_worker", queues]
		processes[f"rq-{number}"] = Command(line, ours=False, jobs=True)
	processes["scheduler"] = Command([python, "-m", "chaos.scheduler_ticks", site])
	return processes


def _tables(runtime: Runtime) -> list[str]:
	if runtime.db.dialect == "sqlite":
		sql = "SELECT `name` FROM `sqlite_master` WHERE `type` = 'table'"
	else:
		schema = "DATABASE()" if runtime.db.dialect == "mariadb" else "current_schema()"
		sql = f"""SELECT `table_name` AS `name` FROM information_schema.tables
			WHERE `table_schema` = {schema} AND `table_type` = 'BASE TABLE'"""
	return [row["name"] for row in runtime.db.query(sql)]


def _disconnect(runtime: Runtime) -> None:
	"""Kill all connections of the site's user but this one."""
	find, kill = _CONNECTIONS[runtime.db.dialect]
	for row in runtime.db.query(find):
		with suppress(Exception):  # gone already
			runtime.db.execute(kill, [row["id"]])


def _prepare(runtime: FrappeRuntime, toml: Path) -> None:
	list(load_into_site(runtime, toml, ""))
	frappe.db.sql_ddl(effects.create(runtime))
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


def _clear(began: object) -> None:
	frappe.db.rollback()
	for doctype in _LOGS:
		field = "stream" if doctype == "External Record" else "integration"
		frappe.db.delete(doctype, {field: ["in", STREAMS if field == "stream" else INTEGRATIONS]})
	frappe.db.delete("Scheduled Job Log", {"creation": [">=", began]})
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
