"""hub.toml into tables: settings rows and target tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.connectors.credential_checks import credential_problems
from integration_hub.connectors.credential_headers import header_problems
from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.outbound.checks import CheckContext, number_problems, outbound_problems
from integration_hub.outbound.config import OutboundStream
from integration_hub.runtime.standalone.hub_toml import HubFile
from integration_hub.runtime.standalone.open_hub import OpenHub
from integration_hub.runtime.standalone.outbox_triggers import write_triggers
from integration_hub.runtime.standalone.stream_renames import carry_over
from integration_hub.stores.bindings import count_live
from integration_hub.stores.database import insert, update, upsert_many
from integration_hub.stores.did_you_mean import near
from integration_hub.stores.doctype_tables import (
	FIELDTYPES,
	KEPT_COLUMNS,
	NO_COLUMN,
	NUMERIC,
	doctypes,
	index,
	sqlite_type,
)
from integration_hub.stores.fields import Fields, fields_of
from integration_hub.stores.ids import new_id
from integration_hub.stores.runtime import HubError
from integration_hub.sync.after_writing import NO_DOCUMENTS
from integration_hub.sync.config import StreamConfig, moved
from integration_hub.sync.stream_checks import StreamContext, stream_problems
from integration_hub.webhooks.presets import filled
from integration_hub.webhooks.settings_checks import Registered, endpoint_problems

_META = "CREATE TABLE IF NOT EXISTS `hub_meta` (`key` TEXT PRIMARY KEY, `value` TEXT)"
_BARE = re.compile(r"[A-Za-z0-9_-]+")  # what TOML takes without quotes
_TARGET_COLUMNS = (
	"`name` TEXT PRIMARY KEY, `creation` DATETIME, `modified` DATETIME, `owner` TEXT, `modified_by` TEXT"
)


def apply(runtime: OpenHub) -> None:
	"""Bring the database in line with hub.toml, if the file changed; raises HubError and changes nothing."""
	if is_applied(runtime):
		return
	check(runtime.file)
	with runtime.db.transaction():
		for table, fields in runtime.file.tables.items():
			_create_target(runtime, table, fields)
		for name, values in runtime.file.integrations.items():
			_save(
				runtime,
				"Integration Settings",
				name,
				values,
				{"routes": "Webhook Route", "answer_rules": "Answer Rule"},
			)
		carry_over(runtime)
		for name, values in runtime.file.streams.items():
			_save(runtime, "Sync Settings", name, values, {"mapping": "Sync Field Mapping"})
		write_triggers(runtime)
		_disable_missing(runtime, "Integration Settings", runtime.file.integrations)
		_disable_missing(runtime, "Sync Settings", runtime.file.streams)
		runtime.db.execute("INSERT OR REPLACE INTO `hub_meta` VALUES ('toml', %s)", [runtime.file.digest])


def is_applied(runtime: OpenHub) -> bool:
	"""Tell whether the database is in line with hub.toml."""
	runtime.db.execute(_META)
	sql = "SELECT 1 FROM `hub_meta` WHERE `key` = 'toml' AND `value` = %s"
	return bool(runtime.db.query(sql, [runtime.file.digest]))


def check(file: HubFile) -> None:
	"""Raise HubError for the first setting that cannot work."""
	for table in file.tables:
		_check_table(file, table)
	for name, values in file.integrations.items():
		config = _read(IntegrationConfig.from_row, {"name": name, **values}, f"[integration.{name}]")
		secrets = {field: values.get(field) for field in SECRET_FIELDS}
		for field, sentence in (
			*integration_problems(filled(config), secrets),
			*credential_problems(config, secrets),
		):
			raise HubError(sentence, name=f"{file.name} [integration.{name}]", field=field)
		for field, sentence in header_problems(filled(config)):
			raise HubError(sentence, name=f"{file.name} [integration.{name}]", field=field)
		if config.fetches_tokens and not file.hub.get("encryption_key"):
			raise HubError("is needed to keep tokens", name=f"{file.name} [hub]", field="encryption_key")
		registered = Registered(
			file.schemes,
			file.handlers,
			file.streams.__contains__,
			lambda _name: "Run Server Script needs a Frappe site; register a function in [handlers]",
		)
		for field, sentence in endpoint_problems(config, values["routes"], registered):
			raise HubError(sentence, name=f"{file.name} [integration.{name}]", field=field)
	around = StreamContext(
		file.transforms,
		lambda doctype: target_fields(file, doctype),
		lambda name: file.streams.get(name, {}).get("target_doctype", ""),
		lambda doctype: NO_DOCUMENTS,
		lambda doctype, mapper: NO_DOCUMENTS,
	)
	for name, values in file.streams.items():
		row = {"name": name, **values}
		stream = _read(lambda row: StreamConfig.from_row(row, row["mapping"]), row, f"[stream.{name}]")
		if stream.integration not in file.integrations:
			hint = near(stream.integration, file.integrations, "there are")
			raise HubError(
				f"integration {stream.integration!r} does not exist{hint}",
				name=f"{file.name} [stream.{name}]",
				field="integration",
			)
		if stream.target_doctype not in file.tables:
			raise HubError(
				_no_table(file, stream.target_doctype),
				name=f"{file.name} [stream.{name}]",
				field="target_doctype",
			)
		fields = target_fields(file, stream.target_doctype)
		problems = (
			_outbound(file, row, fields)
			if stream.direction == "Out"
			else stream_problems(stream, fields, around)
		)
		for field, sentence in (*number_problems(row), *problems):
			raise HubError(sentence, name=f"{file.name} [stream.{name}]", field=field)


def _outbound(file: HubFile, row: Mapping[str, Any], fields: Fields) -> list[tuple[str, str]]:
	"""Return what is wrong with a stream of the direction Out."""
	stream = _read(lambda row: OutboundStream.from_row(row, row["mapping"]), row, f"[stream.{row['name']}]")
	return outbound_problems(stream, fields, CheckContext(file.transforms, file.streams.__contains__))


def _no_table(file: HubFile, table: str) -> str:
	"""Return what to do about a target that is not in the file: without a bench a DocType is what the file says it is."""
	if not table:
		return "is empty: it names a table of this file"
	key = table if _BARE.fullmatch(table) else f'"{table}"'
	hint = near(table, file.tables, "there are") or "; there is none yet"
	return f'DocType {table} does not exist; write its fields under [table.{key}], as title = "Data"{hint}'


def _check_table(file: HubFile, table: str) -> None:
	place = f'{file.name} [table."{table}"]'
	if table in doctypes():
		raise HubError("is a table of the app itself", name=place)
	if kept := sorted(KEPT_COLUMNS & file.tables[table].keys()):
		raise HubError("is set by the app itself; give the field another name", name=place, field=kept[0])
	for name in (table, *file.tables[table]):
		if not name.replace("_", "").replace(" ", "").replace("-", "").isalnum():
			raise HubError("has characters that a table cannot have", name=place, field=name)
	for field, row in file.tables[table].items():
		kind = row["fieldtype"]
		if kind not in FIELDTYPES | {"Table"}:
			raise HubError(
				f"fieldtype {kind!r} is not one of {', '.join(sorted(FIELDTYPES | {'Table'}))}",
				name=place,
				field=field,
			)
		options = row.get("options", "")
		if kind in ("Table", "Link") and options not in file.tables:
			hint = f'{{ fieldtype = "{kind}", options = "a table of this file" }}'
			raise HubError(f"table {options!r} is not in the file; write {hint}", name=place, field=field)


def target_fields(file: HubFile, table: str) -> Fields:
	"""Return the fields of a table that a stream can write, empty if there is no such table."""
	children = {name: fields_of(rows.values()) for name, rows in file.tables.items()}
	return fields_of(file.tables.get(table, {}).values(), children)


def child_tables(file: HubFile) -> set[str]:
	"""Return the tables that are the rows of another one's documents."""
	rows = (row for fields in file.tables.values() for row in fields.values())
	return {row["options"] for row in rows if row["fieldtype"] == "Table"}


def _read(make, row: Mapping[str, Any], table: str):
	try:
		return make(row)
	except ValueError as error:
		raise HubError(str(error), name=f"hub.toml {table}") from None


def _save(
	runtime: OpenHub,
	doctype: str,
	name: str,
	values: Mapping[str, Any],
	children: Mapping[str, str],
) -> None:
	"""Write a settings row without touching the state the engine keeps on it, and its child rows again."""
	# Every setting is written: what is no longer in the file goes back to its default.
	defaults = {
		f["fieldname"]: f.get("default") or (0 if f["fieldtype"] in NUMERIC else None)
		for f in doctypes()[doctype]["fields"]
		if not f.get("read_only") and f["fieldtype"] not in NO_COLUMN
	}
	# A reference is no secret, but nothing outside the file needs it: Frappe, too, keeps a mask here.
	row = {
		**defaults,
		**{k: "*****" if k in SECRET_FIELDS else v for k, v in values.items() if k not in children},
	}
	row = {k: int(v) if isinstance(v, bool) else v for k, v in row.items()}
	now = runtime.now()
	stamped = {
		"name": name,
		"creation": now,
		"modified": now,
		"owner": runtime.owner(),
		"modified_by": runtime.owner(),
		**row,
	}
	before = runtime.db.query(f"SELECT * FROM `tab{doctype}` WHERE `name` = %s", [name])
	if doctype == "Sync Settings" and before and "enabled" not in values:
		row.pop("enabled")  # its first sync has switched it on
	if doctype == "Sync Settings" and before:
		_keep_target(runtime, name, before[0]["target_doctype"], row["target_doctype"])
	upsert_many(runtime.db, doctype, list(stamped), [tuple(stamped.values())], update=[*row, "modified"])
	if doctype == "Sync Settings" and before and moved(before[0], row):
		update(runtime.db, doctype, name, {"checkpoint": None, "resume": None})
	for field, child in children.items():
		runtime.db.execute(f"DELETE FROM `tab{child}` WHERE `parent` = %s", [name])
		for number, item in enumerate(values[field], 1):
			item = {k: int(v) if isinstance(v, bool) else v for k, v in item.items()}
			keys = {
				"name": new_id(),
				"parent": name,
				"parentfield": field,
				"parenttype": doctype,
				"idx": number,
			}
			insert(runtime.db, child, {**keys, **item})


def _keep_target(runtime: OpenHub, stream: str, before: str, now: str) -> None:
	"""Refuse another target while records are bound to rows of the one before; raises HubError."""
	bound = count_live(runtime.db, stream) if before != now else 0
	if bound:
		raise HubError(
			f"{bound} documents are bound already; make another stream for another table",
			name=f"{runtime.file.name} [stream.{stream}]",
			field="target_doctype",
		)


def _disable_missing(runtime: OpenHub, doctype: str, documents: Mapping[str, Any]) -> None:
	"""Switch off what is no longer in the file; its rows stay, so that nothing is doubled if it comes back."""
	for row in runtime.db.query(f"SELECT `name` FROM `tab{doctype}`"):
		if row["name"] not in documents:
			update(runtime.db, doctype, row["name"], {"enabled": 0})


def _create_target(runtime: OpenHub, table: str, fields: Mapping[str, Mapping[str, Any]]) -> None:
	runtime.db.execute(f"CREATE TABLE IF NOT EXISTS `tab{table}` ({_TARGET_COLUMNS})")
	present = {row["name"]: row["type"] for row in runtime.db.query(f"PRAGMA table_info(`tab{table}`)")}
	columns = {name: row["fieldtype"] for name, row in fields.items() if row["fieldtype"] != "Table"}
	if table in child_tables(runtime.file):
		columns |= {"parent": "Data", "parenttype": "Data", "parentfield": "Data", "idx": "Int"}
	for name, kind in columns.items():
		# A mirror takes what the source has: no NOT NULL, no default.
		column_type = sqlite_type(kind).split(" ")[0]
		if present.get(name, column_type) != column_type:
			_drop_column(runtime, table, name, present[name], kind)
			del present[name]
		if name not in present:
			runtime.db.execute(f"ALTER TABLE `tab{table}` ADD COLUMN `{name}` {column_type}")
	if table in child_tables(runtime.file):
		runtime.db.execute(index(f"tab{table}", ["parent"]))


def _drop_column(runtime: OpenHub, table: str, name: str, before: str, kind: str) -> None:
	"""Drop a column whose fieldtype has changed; raises HubError where values stand in it, which only a person may drop."""
	if runtime.db.query(f"SELECT 1 FROM `tab{table}` WHERE `{name}` IS NOT NULL LIMIT 1"):
		raise HubError(
			f"holds {before} values and cannot become {kind}: name a new field, or empty this one first",
			name=f'{runtime.file.name} [table."{table}"]',
			field=name,
		)
	runtime.db.execute(f"ALTER TABLE `tab{table}` DROP COLUMN `{name}`")
