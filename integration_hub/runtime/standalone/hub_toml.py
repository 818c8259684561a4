"""hub.toml: the settings documents of the standalone runtime.

A table's keys are the fieldnames of the doctype it stands for, so that the same file can be loaded into a
site. Secrets are references (`env:NAME`, `file:PATH`), never values.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from integration_hub.connectors.allowed_hosts import ANY, place
from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.connectors.setting_ranges import MOST_DAYS
from integration_hub.connectors.taps import tap_problems
from integration_hub.runtime.standalone.file_stamps import Stamp, stamp
from integration_hub.runtime.standalone.value_types import check_name, check_text, typed
from integration_hub.stores.did_you_mean import near
from integration_hub.stores.doctype_tables import NO_COLUMN, doctypes
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks.schemes import record_path_of

if sys.version_info >= (3, 11):
	import tomllib
else:
	import tomli as tomllib

TITLE_FIELDS = {"Integration Settings": "integration_name", "Sync Settings": "stream_name"}
# The key of [hub] → the log whose settled rows are kept so many days, and how many unless set. 0 keeps them.
KEPT = {
	"keep_events": ("Webhook Log", 30),
	"keep_runs": ("Sync Log", 30),
	"keep_deliveries": ("Delivery Log", 30),
	"keep_failures": ("Integration Error Log", 90),
}
_HUB_KEYS = {"database", "redis", "encryption_key", "allowed_hosts", "forget_streams", *KEPT}
_HUB_TEXTS = ("database", "redis", "encryption_key")
_REGISTRIES = ("handlers", "connectors", "schemes", "transforms")
_FIELD_KINDS = {"fieldtype": "Data", "options": "Data", "length": "Int", "reqd": "Check"}
_RENAMED = "renamed_from"  # a key of [stream.NAME] that is no setting: the name it had before
_TOP_KEYS = {"hub", "integration", "stream", "table", "taps", *_REGISTRIES}


@dataclass(frozen=True)
class HubFile:
	"""The parsed hub.toml. `folder` is what relative paths in it are relative to.

	renamed: what streams were called before, by name.
	"""

	folder: Path
	name: str = "hub.toml"
	hub: Mapping[str, Any] = field(default_factory=dict)
	integrations: Mapping[str, dict[str, Any]] = field(default_factory=dict)
	streams: Mapping[str, dict[str, Any]] = field(default_factory=dict)
	tables: Mapping[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
	handlers: Mapping[str, str] = field(default_factory=dict)
	connectors: Mapping[str, str] = field(default_factory=dict)
	schemes: Mapping[str, str] = field(default_factory=dict)
	transforms: Mapping[str, str] = field(default_factory=dict)
	taps: Mapping[str, Any] = field(default_factory=dict)
	renamed: Mapping[str, str] = field(default_factory=dict)
	text: str = field(default="", repr=False)
	stamp: Stamp | None = (
		None  # stamp of the file that was read; None if it may have changed since without a sign of it
	)

	@cached_property
	def digest(self) -> str:
		"""Return the hash of what the file says."""
		return sha256(self.text.encode()).hexdigest()

	@property
	def database(self) -> Path:
		"""Return the path of the SQLite file."""
		return self.folder / self.hub.get("database", "hub.db")

	@property
	def forgotten(self) -> list[str]:
		"""Return the streams to forget: they are no longer in the file, and their documents stay as nobody's."""
		return list(self.hub.get("forget_streams", ()))

	@property
	def allowed_hosts(self) -> list[str]:
		"""Return the hosts of private networks that integrations may call; see connectors.allowed_hosts."""
		return list(self.hub.get("allowed_hosts", ()))

	def secret(self, integration: str, fieldname: str) -> str | None:
		"""Return the value a secret's reference leads to, None if it is not set; raises HubError."""
		reference = self.integrations.get(integration, {}).get(fieldname)
		return self.resolve(reference, f"[integration.{integration}]", fieldname) if reference else None

	def secrets_stamp(self, integration: str) -> str:
		"""Return what changes when a secret of an integration does, "" if that cannot be told.

		It stays within this process: the hash of a variable's value is one that no other process knows.
		"""
		values = self.integrations.get(integration, {})
		found = [self._secret_stamp(str(values[name])) for name in SECRET_FIELDS if values.get(name)]
		return "" if None in found else repr(found or "none")

	def _secret_stamp(self, reference: str) -> object:
		kind, _, place = reference.partition(":")
		if kind == "file":
			return stamp(self.folder / place)
		return hash(os.environ[place]) if place in os.environ else None

	def resolve(self, reference: str, table: str, fieldname: str) -> str:
		"""Return what `env:NAME` or `file:PATH` refers to; raises HubError if that is missing."""
		kind, _, place = str(reference).partition(":")
		if kind == "env":
			value = os.environ.get(place)
			if value is None:
				raise HubError(
					f"environment variable {place} is not set", name=f"{self.name} {table}", field=fieldname
				)
			return value
		if kind == "file":
			try:
				return (self.folder / place).read_text().strip()
			except (OSError, ValueError) as error:  # ValueError: it is no text, or its name is no name
				reason = getattr(error, "strerror", None) or "not text in UTF-8"
				raise HubError(
					f"{place} cannot be read ({reason})", name=f"{self.name} {table}", field=fieldname
				) from None
		raise HubError(
			"must be a reference: env:NAME or file:PATH. A secret's value does not belong in hub.toml",
			name=f"{self.name} {table}",
			field=fieldname,
		)


_read: dict[Path, HubFile] = {}
_reading = Lock()


def load(path: Path) -> HubFile:
	"""Read and check a hub.toml, once as long as it stays what it is; raises HubError naming table and key."""
	place = path.resolve()
	with _reading:
		known, found = _read.get(place), stamp(path)
		if known and found and known.stamp == found:
			return known
		text = _text(path)
		same = known is not None and known.text == text
		file = _read[place] = replace(known if same else _parsed(path, text), stamp=found)
	return file


def _text(path: Path) -> str:
	try:
		return path.read_text("utf-8-sig")  # some editors begin a file with a mark
	except FileNotFoundError:
		raise HubError("does not exist; `integration-hub init` makes one", name=str(path)) from None
	except (OSError, UnicodeDecodeError) as error:
		raise HubError(f"cannot be read: {error}", name=str(path)) from None


def _parsed(path: Path, text: str) -> HubFile:
	try:
		data = tomllib.loads(text)
	except tomllib.TOMLDecodeError as error:
		raise HubError(f"cannot be read: {error}", name=str(path)) from None
	_known(data, _TOP_KEYS, "")
	for key in data:
		if not isinstance(data[key], dict):
			raise HubError(f"[{key}] must be a table", name="hub.toml")
	_known(data.get("hub", {}), _HUB_KEYS, "[hub]")
	_check_texts(data)
	for key in KEPT.keys() & data.get("hub", {}).keys():
		_check_days(data["hub"][key], key)
	_check_hosts(data.get("hub", {}).get("allowed_hosts", []))
	file = HubFile(
		folder=path.resolve().parent,
		name=path.name,
		hub=data.get("hub", {}),
		integrations=_documents(
			data,
			"integration",
			"Integration Settings",
			{"routes": "Webhook Route", "answer_rules": "Answer Rule"},
		),
		streams=_documents(data, "stream", "Sync Settings", {"mapping": "Sync Field Mapping"}),
		tables={name: _fields(name, fields) for name, fields in data.get("table", {}).items()},
		handlers=data.get("handlers", {}),
		connectors=data.get("connectors", {}),
		schemes=data.get("schemes", {}),
		transforms=data.get("transforms", {}),
		taps=_taps(data.get("taps", {})),
		renamed=_renamed(data),
		text=text,
	)
	for name, values in file.integrations.items():
		for fieldname in SECRET_FIELDS:
			if values.get(fieldname):
				_check_reference(file, values[fieldname], f"[integration.{name}]", fieldname)
	return file


def _taps(taps: Mapping[str, Any]) -> Mapping[str, Any]:
	"""Return the registered Singer taps; raises HubError for one that cannot be run."""
	for name, row in taps.items():
		problems = tap_problems(row) if isinstance(row, dict) else iter(["must be a table"])
		for problem in problems:
			raise HubError(problem, name=f"hub.toml [taps.{name}]")
	return taps


def _fields(table: str, fields: Any) -> dict[str, dict[str, Any]]:
	"""Return a table's fields as rows of a DocType: `field = "Data"` is short for `{ fieldtype = "Data" }`."""
	place = f'hub.toml [table."{table}"]'
	if not fields or not isinstance(fields, dict):
		raise HubError('needs at least one field = "Fieldtype"', name=place)
	rows = {}
	for name, given in fields.items():
		row = {"fieldtype": given} if isinstance(given, str) else given
		if not isinstance(row, dict) or "fieldtype" not in row:
			raise HubError("needs a fieldtype", name=place, field=name)
		_known(row, _FIELD_KINDS, f'[table."{table}"] {name}')
		rows[name] = {"fieldname": name, **typed(row, _FIELD_KINDS, f"{place} {name}")}
	return rows


def _renamed(data: Mapping) -> dict[str, str]:
	"""Return what streams were called before; raises HubError where that cannot be."""
	streams, renamed, forgotten = data.get("stream", {}), {}, data.get("hub", {}).get("forget_streams", [])
	if not isinstance(forgotten, list) or not all(isinstance(name, str) for name in forgotten):
		raise HubError("must be a list of names", name="hub.toml [hub]", field="forget_streams")
	for name in forgotten:
		if name in streams:
			raise HubError(f"{name!r} is in the file", name="hub.toml [hub]", field="forget_streams")
	for name, values in streams.items():
		old = values.get(_RENAMED) if isinstance(values, dict) else None
		if old is None:
			continue
		place = {"name": f"hub.toml [stream.{name}]", "field": _RENAMED}
		if not isinstance(old, str) or not old or old == name:
			raise HubError("must be the name that the stream had before", **place)
		if old in streams or old in forgotten or old in renamed.values():
			raise HubError(f"{old!r} is another stream's, or was renamed or forgotten already", **place)
		renamed[name] = old
	return renamed


def _documents(data: Mapping, key: str, doctype: str, children: Mapping[str, str]) -> dict[str, dict]:
	"""Return a section's tables, their keys checked against the doctype, shorthand mappings written out."""
	documents = {}
	allowed = _kinds(doctype).keys() | set(children) | ({_RENAMED} if key == "stream" else set())
	for name, values in data.get(key, {}).items():
		table = f"[{key}.{name}]"
		check_name(name, f"hub.toml [{key}]")
		if not isinstance(values, dict):
			raise HubError("must be a table", name=f"hub.toml {table}")
		_known(values, allowed, table)
		values = {TITLE_FIELDS[doctype]: name, **{k: v for k, v in values.items() if k != _RENAMED}}
		for fieldname, child in children.items():
			rows = values.get(fieldname, [])
			if isinstance(
				rows, dict
			):  # [stream.x.mapping]  field = "path", or field = { source_path = …, … }
				rows = [
					{"field": f, **(v if isinstance(v, dict) else {"source_path": v})}
					for f, v in rows.items()
				]
			values[fieldname] = _rows(rows, child, table, fieldname)
		for row in values.get("routes", ()):
			row.setdefault("record_path", record_path_of(str(values.get("webhook_scheme", ""))))
		values.update(typed(values, _kinds(doctype), f"hub.toml {table}"))
		documents[name] = values
	return documents


def _rows(rows: Any, child: str, table: str, fieldname: str) -> list[dict[str, Any]]:
	"""Return the rows of a table within a document, checked against the doctype of rows."""
	if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
		raise HubError("must be a table, or a list of tables", name=f"hub.toml {table}", field=fieldname)
	for row in rows:
		_known(row, _kinds(child), f"{table} {fieldname}")
	return [{**row, **typed(row, _kinds(child), f"hub.toml {table} {fieldname}")} for row in rows]


@lru_cache
def _kinds(doctype: str) -> Mapping[str, str]:
	"""Return the fieldtype of each setting of a doctype: not of what the engine keeps beside them."""
	fields = (f for f in doctypes()[doctype]["fields"] if f["fieldtype"] not in NO_COLUMN)
	return {f["fieldname"]: f["fieldtype"] for f in fields if not f.get("read_only")}


def _known(values: Mapping, allowed: Collection[str], table: str) -> None:
	for key in values:
		if key not in allowed:
			hint = near(key, allowed)
			raise HubError(f"is not a known key{hint}", name=f"hub.toml {table}".strip(), field=key)


def _check_texts(data: Mapping) -> None:
	"""Raise HubError where a path, a reference or a function's name is none; `redis = ""` is one that is not set."""
	for table in ("hub", *_REGISTRIES):
		for key, value in data.get(table, {}).items():
			if table in _REGISTRIES or (key in _HUB_TEXTS and (value != "" or key == "database")):
				check_text(value, f"hub.toml [{table}]", key)


def _check_days(value: Any, key: str) -> None:
	if type(value) is not int or not 0 <= value <= MOST_DAYS:
		raise HubError(
			f"must be a number of days, at most {MOST_DAYS}; 0 keeps rows forever",
			name="hub.toml [hub]",
			field=key,
		)


def _check_hosts(hosts: Any) -> None:
	"""Raise HubError where an entry allows nothing: a host that was not allowed would tell only when it is called."""
	at = {"name": "hub.toml [hub]", "field": "allowed_hosts"}
	if not isinstance(hosts, list):
		raise HubError("must be a list of hosts", **at)
	for entry in hosts:
		try:
			entry == ANY or place(entry)
		except ValueError as error:
			raise HubError(str(error), **at) from None


def _check_reference(file: HubFile, reference: Any, table: str, fieldname: str) -> None:
	if not str(reference).startswith(("env:", "file:")):
		file.resolve(str(reference), table, fieldname)
