"""The engine on one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timezone
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import redis

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import Coordination, LocalCoordination, RedisCoordination
from integration_hub.connectors.registry import connector_for
from integration_hub.queues.pinned_connections import owners_client
from integration_hub.runtime.standalone import file_permissions
from integration_hub.runtime.standalone.apply_hub_toml import apply, is_applied, target_fields
from integration_hub.runtime.standalone.file_stamps import identity, stamp
from integration_hub.runtime.standalone.hub_toml import KEPT, HubFile, load
from integration_hub.runtime.standalone.outbox_triggers import quiet, read_row
from integration_hub.runtime.standalone.secrets import TABLE, StandaloneSecrets
from integration_hub.runtime.standalone.short_secrets import short_secrets
from integration_hub.stores.clock import shifted
from integration_hub.stores.database import update
from integration_hub.stores.doctype_tables import columns, doctypes
from integration_hub.stores.file_lock import file_lock
from integration_hub.stores.private_files import make_folder
from integration_hub.stores.rekey_events import rekey
from integration_hub.stores.runtime import HubError, Target
from integration_hub.stores.settings import STATE
from integration_hub.stores.sqlite import BUSY_SECONDS, SQLiteDatabase
from integration_hub.sync.bulk import BulkTarget
from integration_hub.sync.config import integration_config
from integration_hub.sync.schedule import want

_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
_LOCAL: dict[str, LocalCoordination] = {}  # shared by the threads of this process
_PREPARED: set[Path] = set()  # databases whose tables this process has looked after
_VERSION = 1  # number of the last migration of a file's rows


@cache
def _settings_as_text() -> str:
	"""Return the SELECT of an integration's settings as one text: each webhook asks, and a row has many columns."""
	quoted = (f"quote(`{name}`)" for name in columns(doctypes()["Integration Settings"]) if name not in STATE)
	return f"SELECT {' || '.join(quoted)} AS `text` FROM `tabIntegration Settings` WHERE `name` = %s"


class StandaloneRuntime:
	"""One hub.toml and its database; times are UTC. Use one per thread."""

	def __init__(self, path: Path | str = "hub.toml", lock_seconds: float = BUSY_SECONDS) -> None:
		"""Open a runtime; raises HubError. lock_seconds: how long to wait for another process that writes."""
		self._path = Path(path)
		self.file: HubFile = load(self._path)
		self.db = _opened(self.file.database, lock_seconds)
		self._database = identity(self.file.database)
		if self.file.database not in _PREPARED or not is_applied(self):
			self.db.create_tables()
			self._carry_over()
			self.db.execute(TABLE)
			apply(self)
			_PREPARED.add(self.file.database)
		self.coordination: Coordination = self._coordination()
		self.watcher: Callable[[Any], None] | None = None
		self.on_pause: Callable[[str], None] | None = None  # gets connectors' pauses outside of runs

	def _carry_over(self) -> None:
		"""Bring rows that an earlier version made to what this one expects, once."""
		if self.db.version < _VERSION:
			rekey(self.db)
			self.db.version = _VERSION

	def __enter__(self) -> StandaloneRuntime:
		return self

	def __exit__(self, *exc_info: object) -> None:
		self.close()

	def is_current(self) -> bool:
		"""Tell whether hub.toml and the database still are the files that were opened."""
		known = self.file.stamp
		return bool(known and known == stamp(self._path) and self._database == identity(self.file.database))

	def close(self) -> None:
		"""Close the database."""
		self.db.close()

	@property
	def identity(self) -> str:
		"""Return the path of the database file."""
		return str(self.file.database)

	zone = "UTC"

	def now(self, ahead: float = 0) -> str:
		"""Return the UTC time `ahead` seconds from now, as the database stores it."""
		return shifted(datetime.now(timezone.utc), ahead).strftime(_FORMAT)

	def local_time(self, moment: datetime) -> str:
		"""Return an aware datetime in UTC, as the database stores it."""
		return moment.astimezone(timezone.utc).strftime(_FORMAT)

	def lock(self, name: str) -> AbstractContextManager[bool]:
		"""Try to take a file lock beside the database; the block gets True if it was free."""
		return _lock(self.file.database, name)

	def integration(self, name: str) -> IntegrationConfig:
		"""Return the settings of an integration; raises HubError if there is none."""
		return integration_config(self.db, name)

	def settings_stamp(self, integration: str) -> str:
		"""Return a text that changes with the settings row, hub.toml or a secret; "" if nothing may be kept."""
		secrets = self.file.secrets_stamp(integration)
		# Another process may have brought the tables in line with a newer hub.toml.
		rows = self.db.query(_settings_as_text(), [integration]) if secrets else []
		return f"{hash(rows[0]['text'])} {self.file.digest} {secrets}" if rows else ""

	def secrets(self, integration: str) -> StandaloneSecrets:
		"""Return the secrets of an integration: references in hub.toml, and tokens in their file."""
		return StandaloneSecrets(self.file, self.db, integration)

	def connector(self, integration: str) -> BaseConnector:
		"""Return a connector, to be closed by the caller."""
		config = self.integration(integration)
		made = connector_for(
			config,
			self.secrets(integration),
			self.coordination,
			self.file.connectors,
			self.file.allowed_hosts,
			self.file.taps,
			str(self.file.folder),
		)
		if self.on_pause:
			made.report_pauses(self.on_pause)
		return made

	def target(self, doctype: str, mode: str, as_is: Iterable[str] = ()) -> Target:
		"""Return the writer for a DocType; it writes rows in either mode."""
		# Without Frappe there are no controllers to run: both modes write rows. Nor is there a Desk that would show
		# text as markup: it is stored as it comes.
		return BulkTarget(self, doctype, target_fields(self.file, doctype))

	def title_field(self, doctype: str) -> str:
		"""Return "": tables of hub.toml name no title field."""
		return ""

	def seen(self, doctype: str, names: set[str]) -> set[str]:
		"""Return all of the names: there are no permissions."""
		return names

	def is_new(self, stream: str) -> bool:
		"""Tell whether hub.toml leaves `enabled` open and no sync has switched the stream on."""
		# `enabled = false` was decided; a file that says nothing leaves the decision to the first sync.
		values = self.file.streams.get(stream, {"enabled": False})
		if "enabled" in values or values.get("direction") == "Out":
			return False
		return not self.db.query(
			"SELECT 1 FROM `tabSync Settings` WHERE `name` = %s AND `enabled` = 1", [stream]
		)

	def new_streams(self) -> list[str]:
		"""Return the streams of hub.toml that are off until their first sync."""
		return [name for name in self.file.streams if self.is_new(name)]

	def handlers(self) -> Mapping[str, str]:
		"""Return the webhook handlers of hub.toml: name → dotted path."""
		return self.file.handlers

	def transforms(self) -> Mapping[str, str]:
		"""Return the mapping functions of hub.toml: name → dotted path."""
		return self.file.transforms

	def schemes(self) -> Mapping[str, str]:
		"""Return the signature schemes of hub.toml: name → dotted path."""
		return self.file.schemes

	@contextmanager
	def as_user(self, user: str) -> Iterator[None]:
		"""Do the block as it is: there are no users."""
		yield

	def enqueue_sync(self, stream: str, triggered_by: str) -> None:
		"""Do nothing: `integration-hub work` looks for wanted streams by itself."""
		want(self, stream)

	def enqueue_drain(self, integration: str, number: int = 0) -> None:
		"""Do nothing: `integration-hub work` looks into the inbox by itself."""

	def enqueue_dispatch(self, integration: str, number: int = 0) -> None:
		"""Do nothing: `integration-hub work` looks into the outbox by itself."""

	def read_document(self, doctype: str, name: str) -> dict[str, Any] | None:
		"""Return a row as it is now, with its child rows, None if there is none."""
		return read_row(self, doctype, name)

	def check_read(
		self, integration: str, doctype: str, document: Mapping[str, Any], paths: Sequence[str]
	) -> None:
		"""Refuse nothing: there are no users."""

	def write_back(self, doctype: str, name: str, values: Mapping[str, Any]) -> None:
		"""Set columns of a row within the current transaction, which the triggers do not note."""
		with quiet(self.db):
			update(self.db, doctype, name, values)

	def run_script(self, name: str, args: Mapping[str, Any]) -> None:
		"""Raise HubError: there are no Server Scripts here."""
		raise HubError(
			"lives on a Frappe site; here, register a function", doctype="Server Script", name=name
		)

	def allowed_hosts(self) -> list[str]:
		"""Return the hosts of private networks that hub.toml allows."""
		return self.file.allowed_hosts

	def warnings(self) -> list[str]:
		"""Return which files others can read, and which streams wait for their first sync."""
		off = "{0} is off until its first `integration-hub sync {0}`, which switches it on; so does `enabled = true`."
		return [
			*file_permissions.warnings(self.file),
			*short_secrets(self.file),
			*(off.format(name) for name in self.new_streams()),
		]

	def reconnect(self) -> None:
		"""Do nothing: a file does not go away."""

	def log_days(self) -> Mapping[str, int]:
		"""Return for how many days settled rows are kept, by log, as hub.toml says or by default."""
		return {doctype: self.file.hub.get(key, days) for key, (doctype, days) in KEPT.items()}

	def owner(self) -> str:
		"""Return the name that rows made here have as their owner."""
		return "integration-hub"

	def events_ended(self, integration: str) -> None:
		"""Do nothing: there are no forms to tell."""

	def progress(self, run: Any) -> None:
		"""Hand the counts of a run to the watcher, if there is one."""
		if self.watcher:
			self.watcher(run)

	def external_redis_url(self) -> str:
		"""Return "": only the integration itself names its queue."""
		return ""  # `queue_url` of the integration is the one place

	def redis(self) -> redis.Redis | None:
		"""Return the client of `[hub] redis`, None if it is not set."""
		url = self.file.hub.get("redis")
		if not url:
			return None
		if str(url).startswith(("env:", "file:")):
			url = self.file.resolve(url, "[hub]", "redis")
		try:
			return owners_client(str(url), socket_connect_timeout=5, socket_timeout=10)
		except ValueError as error:
			raise HubError(str(error), name="hub.toml [hub]", field="redis") from None

	def _coordination(self) -> Coordination:
		client, name = self.redis(), str(self.file.database)
		local = _LOCAL.setdefault(name, LocalCoordination(partial(_lock, self.file.database)))
		return RedisCoordination(client, name, local) if client else local


def _opened(database: Path, lock_seconds: float) -> SQLiteDatabase:
	"""Return a database; raises HubError where its file cannot be made, or is something else."""
	try:
		return SQLiteDatabase(database, lock_seconds)
	except (OSError, sqlite3.DatabaseError) as error:
		raise HubError(f"cannot be opened: {error}", name=str(database)) from None


def _lock(database: Path, name: str) -> AbstractContextManager[bool]:
	"""Try to take a lock of all processes that use the database."""
	folder = database.with_suffix(".locks")
	make_folder(folder)
	return file_lock(folder / f"{sha256(name.encode()).hexdigest()[:32]}.lock")
