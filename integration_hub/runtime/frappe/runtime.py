"""The engine on a Frappe site."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import frappe
from frappe.realtime import get_doctype_room
from frappe.utils import get_system_timezone, now_datetime
from redis.exceptions import RedisError

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination, RedisCoordination
from integration_hub.connectors.registry import connector_for
from integration_hub.connectors.secrets import redactor_of_readable
from integration_hub.runtime.frappe.answering import is_answering
from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.runtime.frappe.documents import DocumentTarget, FrappeBulkTarget, doctype_fields
from integration_hub.runtime.frappe.jobs import enqueue_once
from integration_hub.runtime.frappe.locks import site_lock
from integration_hub.runtime.frappe.plain_documents import read_document
from integration_hub.runtime.frappe.read_permissions import check_read
from integration_hub.runtime.frappe.secrets import FrappeSecrets
from integration_hub.runtime.frappe.server_scripts import run_script
from integration_hub.runtime.frappe.write_permissions import refuse_levels, refused
from integration_hub.sandbox import alone
from integration_hub.stores.clock import shifted
from integration_hub.stores.database import in_transaction
from integration_hub.stores.error_log import record_error
from integration_hub.stores.runtime import HubError, Target
from integration_hub.sync.config import integration_config

_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
# For a time without Redis.
_LOCAL: dict[str, LocalCoordination] = defaultdict(lambda: LocalCoordination(site_lock))
SYNC_SECONDS = 6 * 3600
_DRAIN_SECONDS = 300
_NOTE_SECONDS = 3600
_DRAIN, _SEND = "drain", "send"


class FrappeRuntime:
	"""The current site; times are in its time zone. Needs frappe.init and frappe.connect."""

	def __init__(self) -> None:
		self.db = FrappeDatabase()
		self.watcher: Callable[[Any], None] | None = None
		self.on_pause: Callable[[str], None] | None = None  # gets connectors' pauses outside of runs

	@classmethod
	@contextmanager
	def opened(cls, site: str) -> Iterator[FrappeRuntime]:
		"""Connect to a site for a block, as Administrator: for commands and the receiver."""
		frappe.init(site=site)
		if not frappe.conf.db_name:
			raise HubError("does not exist on this bench", doctype="Site", name=site)
		frappe.connect()
		try:
			if "integration_hub" not in frappe.get_installed_apps():
				raise HubError(f"bench --site {site} install-app integration_hub", doctype="Site", name=site)
			yield cls()
		finally:
			frappe.destroy()

	@cached_property
	def coordination(self) -> RedisCoordination:
		"""Return the site's locks and budgets in its Redis cache."""
		return RedisCoordination(frappe.cache, frappe.local.site, _LOCAL[frappe.local.site])

	@property
	def identity(self) -> str:
		"""Return the name of the site."""
		return frappe.local.site

	@property
	def zone(self) -> str:
		"""Return the time zone of System Settings."""
		return get_system_timezone()

	def now(self, ahead: float = 0) -> str:
		"""Return the site's time `ahead` seconds from now, as the database stores it."""
		now = now_datetime()  # without a zone
		return (shifted(now, ahead) if ahead else now).isoformat(" ", "microseconds")

	def local_time(self, moment: datetime) -> str:
		"""Return an aware datetime in the site's time zone, as the database stores it."""
		return moment.astimezone(ZoneInfo(get_system_timezone())).strftime(_FORMAT)

	def lock(self, name: str) -> AbstractContextManager[bool]:
		"""Try to take a lock of this site; the block gets True if it was free."""
		return site_lock(name)

	def integration(self, name: str) -> IntegrationConfig:
		"""Return the settings of an integration; raises HubError if there is none."""
		return integration_config(self.db, name)

	def settings_stamp(self, integration: str) -> str:
		"""Return when the integration was saved last, "" if there is none."""
		# Passwords and routes are saved with their document.
		sql = "SELECT `name`, `modified` FROM `tabIntegration Settings` WHERE `name` = %s"
		rows = [row for row in self.db.query(sql, [integration]) if row["name"] == integration]
		return str(rows[0]["modified"]) if rows else ""

	def secrets(self, integration: str) -> FrappeSecrets:
		"""Return the secrets of an integration, which Frappe keeps encrypted."""
		return FrappeSecrets(integration)

	def connector(self, integration: str) -> BaseConnector:
		"""Return a connector, to be closed by the caller; within a web request it does not wait long."""
		config = self.integration(integration)
		made = connector_for(
			config,
			self.secrets(integration),
			self.coordination,
			self.connectors(),
			allowed_hosts(),
			frappe.conf.get("integration_hub_taps") or {},
			frappe.get_site_path(),
		)
		if self.on_pause:
			made.report_pauses(self.on_pause)
		if is_answering():
			made.hurry()
		return made

	def target(self, doctype: str, mode: str, as_is: Iterable[str] = ()) -> Target:
		"""Return the writer for a DocType: by documents, or in bulk."""
		if mode == "Bulk":
			return FrappeBulkTarget(self, doctype, doctype_fields(doctype), as_is)
		return DocumentTarget(self, doctype)

	def title_field(self, doctype: str) -> str:
		"""Return the title field of a DocType, "" where it has none."""
		return frappe.get_meta(doctype).title_field or ""

	def seen(self, doctype: str, names: set[str]) -> set[str]:
		"""Return all of the names: no person is looking."""
		return names

	def is_new(self, stream: str) -> bool:
		"""Tell whether a stream is off and has never run."""
		state = frappe.db.get_value("Sync Settings", stream, ["enabled", "last_run_at"], as_dict=True)
		return bool(state) and not (state.enabled or state.last_run_at)

	def connectors(self) -> Mapping[str, str]:
		"""Return the connectors that apps register by hook: name → dotted path."""
		return _registered("integration_hub_connectors")

	def handlers(self) -> Mapping[str, str]:
		"""Return the webhook handlers that apps register by hook: name → dotted path."""
		return _registered("integration_hub_handlers")

	def transforms(self) -> Mapping[str, str]:
		"""Return the functions that apps register by hook for mappings: name → dotted path."""
		return _registered("integration_hub_transforms")

	def schemes(self) -> Mapping[str, str]:
		"""Return the signature schemes that apps register by hook: name → dotted path."""
		return _registered("integration_hub_schemes")

	def as_user(self, user: str) -> AbstractContextManager[None]:
		"""Do the block as `user`."""
		return self.become(user)

	@contextmanager
	def become(self, user: str) -> Iterator[None]:
		"""Do the block as `user`, also where somebody else looks (see ViewerRuntime.as_user)."""
		wanted, session = user or "Administrator", frappe.local.session
		if wanted == session.user:
			try:
				yield
			finally:
				if session.user != wanted:  # set by what ran within; it is not to stay
					frappe.set_user(wanted)
			return
		# set_user makes a session that is nobody's: a person's own, in a web request, is put back whole.
		kept = {name: session.get(name) for name in ("user", "sid", "data")}
		form = frappe.local.form_dict
		frappe.set_user(wanted)
		try:
			yield
		finally:
			frappe.set_user(kept["user"])
			frappe.local.session.update(kept)
			frappe.local.form_dict = form

	def enqueue_sync(self, stream: str, triggered_by: str) -> None:
		"""Have a worker run a stream, once if it is asked twice; the job waits for the commit of pending writes."""
		enqueue_once(
			"integration_hub.jobs.run_stream",
			queue="long",
			timeout=SYNC_SECONDS,
			job_id=f"integration_hub:sync:{stream}",
			enqueue_after_commit=bool(frappe.db.transaction_writes),  # with the event that asked for it
			stream=stream,
			triggered_by=triggered_by,
		)

	def enqueue_drain(self, integration: str, number: int = 0) -> None:
		"""Enqueue a drain, of `number` 0 as long as none waits: one call of Redis, where looking for a job is many.

		That it waits is noted, and forgotten when it begins. Other numbers, which the sweep uses, are jobs of
		that name: should the note have outlived its job, the sweep's drain forgets it.
		"""
		method, options = "integration_hub.jobs.drain_inbox", {"queue": "default", "timeout": _DRAIN_SECONDS}
		if number:
			job_id = f"integration_hub:drain:{integration}:{number}"
			enqueue_once(method, job_id=job_id, integration=integration, **options)
		elif self._note_waiting(_DRAIN, integration):
			frappe.enqueue(method, integration=integration, **options)

	def drain_begins(self, integration: str) -> None:
		"""Note that an event that comes in from now on may be too late for this drain: it is worth another one."""
		self._forget_waiting(_DRAIN, integration)

	def _note_waiting(self, kind: str, integration: str) -> bool:
		"""Note that a job of a kind waits; False if that was noted already."""
		try:
			return bool(frappe.cache.set(_waiting_note(kind, integration), 1, nx=True, ex=_NOTE_SECONDS))
		except RedisError:
			return True

	def _forget_waiting(self, kind: str, integration: str) -> None:
		with suppress(RedisError):
			frappe.cache.delete(_waiting_note(kind, integration))

	def enqueue_dispatch(self, integration: str, number: int = 0) -> None:
		"""Enqueue a dispatcher, of `number` 0 as long as none waits, as `enqueue_drain` does it for the inbox."""
		method, options = (
			"integration_hub.jobs.send_deliveries",
			{"queue": "default", "timeout": _DRAIN_SECONDS},
		)
		if number:
			job_id = f"integration_hub:send:{integration}:{number}"
			enqueue_once(method, job_id=job_id, integration=integration, **options)
		elif self._note_waiting(_SEND, integration):
			frappe.enqueue(method, integration=integration, **options)

	def dispatch_begins(self, integration: str) -> None:
		"""Note that a change that is made from now on may be too late for this dispatcher: it is worth another one."""
		self._forget_waiting(_SEND, integration)

	def read_document(self, doctype: str, name: str) -> dict[str, Any] | None:
		"""Return a document as it is now, None if there is none; nothing that a controller computes on loading."""
		return read_document(doctype, name)

	def check_read(
		self, integration: str, doctype: str, document: Mapping[str, Any], paths: Sequence[str]
	) -> None:
		"""Raise ReadRefused unless an integration's Run As User may read a document and some of its fields."""
		user = frappe.get_cached_value("Integration Settings", integration, "run_as_user")
		check_read(doctype, document, paths, user or "Administrator")

	def write_back(self, doctype: str, name: str, values: Mapping[str, Any]) -> None:
		"""Set fields of a document within the current transaction; no hook runs, and `modified` stays.

		Raises PermissionError for a document, or a field, that the current user may not write.
		"""
		if not frappe.db.exists(doctype, name):
			return
		doc = frappe.get_doc(doctype, name)
		if error := refused(doc, "write"):
			raise error
		refuse_levels(doc, values)
		frappe.db.set_value(doctype, name, dict(values), update_modified=False)

	def run_script(self, name: str, args: Mapping[str, Any]) -> None:
		"""Run a Server Script with the names in `args`; raises HubError if it may not run."""
		run_script(name, args)

	def log_error(self, error: Exception, *, integration: str, operation: str, **where: str) -> str:
		"""Log a failure outside any run or event, in a transaction of its own; return the row's name."""
		redactor = redactor_of_readable(self.secrets(integration) if integration else None)

		def log() -> str:
			return record_error(
				self, error, operation=operation, integration=integration, redactor=redactor, **where
			)

		return in_transaction(self.db, log)

	def allowed_hosts(self) -> list[str]:
		"""Return the hosts of private networks that the site's configuration allows."""
		return allowed_hosts()

	def warnings(self) -> list[str]:
		"""Return why jobs do not run by themselves: the scheduler is off, or waits for a time to come."""
		from frappe.utils.scheduler import is_scheduler_disabled

		found = []
		site = frappe.local.site
		if is_scheduler_disabled(verbose=False):
			found.append(
				f"The scheduler is off, nothing runs by itself: bench --site {site} enable-scheduler"
			)
		# Frappe counts a job's first run from the time the job was made: a time zone that was changed since
		# then (in the setup wizard, say) can put that into the future.
		filters = {"method": ["like", "integration_hub.%"], "creation": [">", now_datetime()]}
		if frappe.db.count("Scheduled Job Type", filters):
			found.append(
				"The site's time zone was changed: its scheduled jobs start only when their time has come."
			)
		return found

	def reconnect(self) -> None:
		"""Connect to the database again, if it can be reached."""
		with suppress(Exception):  # the database may still be away: the next attempt tells
			self.db.reconnect()

	def log_days(self) -> Mapping[str, int]:
		"""Return nothing: Log Settings decide how long logs are kept."""
		return {}  # Frappe clears logs, as Log Settings say

	def owner(self) -> str:
		"""Return the current user, who owns the rows made here."""
		return frappe.session.user or "Administrator"

	def external_redis_url(self) -> str:
		"""Return the site's URL of a Redis that other systems write to, "" if none is set."""
		return frappe.conf.get("external_redis_url") or ""

	def events_ended(self, integration: str) -> None:
		"""Tell open lists of Webhook Log that events of the integration have been handled."""
		room = get_doctype_room("Webhook Log")
		frappe.publish_realtime("integration_hub_events_ended", {"integration": integration}, room=room)

	def progress(self, run: Any) -> None:
		"""Send the counts of a run to the stream's open form."""
		if self.watcher:
			self.watcher(run)
		counts = vars(run.counts)
		message = {
			"stream": run.stream,
			"run": run.name,
			"status": run.status,
			"seconds": run.duration,
			"waiting": run.waiting,
			**counts,
		}
		frappe.publish_realtime(
			"integration_hub_sync_progress", message, doctype="Sync Settings", docname=run.stream
		)
		# Who reads the list need not be allowed to read each stream: they ask for what they may see.
		frappe.publish_realtime(
			"integration_hub_sync_running",
			{"stream": run.stream, "status": run.status},
			room=get_doctype_room("Sync Settings"),
		)


def _waiting_note(kind: str, integration: str) -> bytes:
	return frappe.cache.make_key(f"integration_hub:{kind}:{integration}")


def allowed_hosts() -> list[str]:
	"""Return the hosts of private networks that the site lets integrations call.

	`integration_hub_allowed_hosts` in site_config.json: a list, see connectors.allowed_hosts; all in developer mode. With
	`integration_hub_sandbox` also the sandbox that Desk starts.
	"""
	configured = frappe.conf.get("integration_hub_allowed_hosts") or []
	hosts = [configured] if isinstance(configured, str) else list(configured)
	if frappe.conf.get("integration_hub_sandbox"):  # its owner lets a sandbox be started here
		hosts.append(f"{alone.HOST}:{alone.PORT}")
	return ["*"] if frappe.conf.developer_mode else hosts


def _registered(hook: str) -> dict[str, str]:
	"""Return name → dotted path from all apps' hooks; the app installed last wins."""
	return {name: paths[-1] for name, paths in (frappe.get_hooks(hook) or {}).items()}
