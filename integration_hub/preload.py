"""Imports for a worker to make before it forks, so that the jobs it forks need not.

A worker of Frappe forks for each job, and imports little before: of an event that is handled in ten milliseconds, half
a second was importing.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

WORKERS = frozenset({"worker", "worker-pool"})  # of bench
MODULES = (
	"integration_hub.jobs",
	# What documents, their permissions and their cache take along, of Frappe's own.
	"frappe.model.rename_doc",
	"frappe.utils.safe_exec",
	"frappe.cache_manager",
	"frappe.utils.logger",
	"frappe.utils.redis_wrapper",
	"frappe.desk.reportview",
	"frappe.database.query",
	"frappe.database.mariadb.database",
	"frappe.database.mariadb.mysqlclient",  # v16's
)


def preload() -> None:
	"""Import what jobs need.

	Raises nothing: other apps' jobs have to run whatever is wrong here, and ours say what it is when they run.
	"""
	for module in MODULES:
		with suppress(Exception):
			import_module(module)
