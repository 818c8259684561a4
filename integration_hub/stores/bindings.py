"""External Record: which local document stands for which external id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from integration_hub.stores.database import Database, Row, in_list, insert_many, upsert_many
from integration_hub.stores.home import Home
from integration_hub.stores.ids import key

DOCTYPE = "External Record"

_STATE = (
	"status",
	"target_name",
	"adopted",
	"source_time",
	"content_hash",
	"last_seen",
	"missing_run",
	"error",
	"payload",
)
_IDENTITY = ("name", "stream", "external_id", "target_doctype")
_PLAIN_STATE = ("status", "target_name", "source_time", "content_hash", "last_seen")
_STAMPS = ("creation", "modified")


@dataclass
class Binding:
	"""One row. `name` is the key of (stream, external id): the primary key makes it unique, byte for byte."""

	name: str
	external_id: str
	target_name: str | None = None
	status: str = "Bound"
	adopted: int = 0
	source_time: str = ""
	content_hash: str = ""
	last_seen: str = ""
	missing_run: str | None = None
	error: str | None = None
	payload: str | None = None
	new: bool = True

	@property
	def is_plain(self) -> bool:
		"""Has it nothing but what every binding has?"""
		return not (self.adopted or self.missing_run or self.error or self.payload)


def binding_name(stream: str, external_id: str) -> str:
	return key(stream, external_id)


def load(db: Database, stream: str, external_ids: Iterable[str]) -> dict[str, Binding]:
	"""Return a binding for each external id, a new one where there is none yet."""
	found = {name: Binding(name, eid) for eid in external_ids for name in [binding_name(stream, eid)]}
	marks, values = in_list(found)
	fields = ", ".join(f"`{column}`" for column in ("name", *_STATE))
	for row in db.query(f"SELECT {fields} FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})", values):
		found[row["name"]] = Binding(external_id=found[row["name"]].external_id, new=False, **_texts(row))
	return {binding.external_id: binding for binding in found.values()}


def save(home: Home, stream: str, target_doctype: str, bindings: Sequence[Binding]) -> None:
	"""Write bindings. A new one that another transaction wrote meanwhile violates the primary key."""
	now = home.now()
	plain = [b for b in bindings if b.new and b.is_plain]
	others = [b for b in bindings if b.new and not b.is_plain]
	known = [b for b in bindings if not b.new]

	def rows(chosen: Sequence[Binding], state: Sequence[str]) -> list[tuple]:
		return [
			(b.name, stream, b.external_id, target_doctype, *(getattr(b, c) for c in state), now, now)
			for b in chosen
		]

	# A first load writes nothing but plain new ones: what is empty in them is not sent.
	insert_many(home.db, DOCTYPE, (*_IDENTITY, *_PLAIN_STATE, *_STAMPS), rows(plain, _PLAIN_STATE))
	insert_many(home.db, DOCTYPE, (*_IDENTITY, *_STATE, *_STAMPS), rows(others, _STATE))
	columns = (*_IDENTITY, *_STATE, *_STAMPS)
	upsert_many(home.db, DOCTYPE, columns, rows(known, _STATE), update=(*_STATE, "modified"))


def mark_seen(db: Database, names: Iterable[str], seen: str) -> None:
	"""Note that records, by their bindings' names, were fetched by run `seen`."""
	marks, names = in_list(names)
	sql = f"UPDATE `tab{DOCTYPE}` SET `last_seen` = %s, `missing_run` = NULL WHERE `name` IN ({marks})"
	db.execute(sql, [seen, *names])


def bound_names(db: Database, stream: str, names: Sequence[str]) -> set[str]:
	"""Return those documents' names that stand for a record of the stream already."""
	marks, values = in_list(names)
	sql = f"""SELECT `target_name` FROM `tab{DOCTYPE}`
		WHERE `target_name` IN ({marks}) AND `stream` = %s AND `status` <> 'Deleted'"""
	return {row["target_name"] for row in db.query(sql, [*values, stream])}


def count_live(db: Database, stream: str, before: str | None = None) -> int:
	"""Count bindings to documents, all or those last seen before run `before`."""
	condition = " AND `last_seen` < %s" if before else ""
	sql = f"""SELECT COUNT(*) AS `n` FROM `tab{DOCTYPE}`
		WHERE `stream` = %s AND `status` <> 'Deleted'{condition}"""
	return db.query(sql, [stream, before] if before else [stream])[0]["n"]


def mark_missing(db: Database, stream: str, run: str, seen: str) -> None:
	"""Note on the bindings last seen before `seen` that they wait for approval of what `run` found gone."""
	sql = f"""UPDATE `tab{DOCTYPE}` SET `missing_run` = %s
		WHERE `stream` = %s AND `status` <> 'Deleted' AND `last_seen` < %s"""
	db.execute(sql, [run, stream, seen])


def after(
	db: Database, where: str, params: Sequence[object], last: str = "", size: int = 100
) -> list[Binding]:
	"""Return the next `size` bindings, by name, that fit a condition and come behind name `last`."""
	fields = ", ".join(f"`{column}`" for column in ("name", "external_id", *_STATE))
	sql = f"""SELECT {fields} FROM `tab{DOCTYPE}` WHERE ({where}) AND `name` > %s
		ORDER BY `name` LIMIT {int(size)}"""
	return [Binding(new=False, **_texts(row)) for row in db.query(sql, [*params, last])]


def _texts(row: Row) -> Row:
	"""Columns that are compared as text are never None."""
	return {**row, **{name: row[name] or "" for name in ("source_time", "content_hash", "last_seen")}}
