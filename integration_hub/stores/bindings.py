"""External Record: which local document stands for which external id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from integration_hub.stores.clock import slack
from integration_hub.stores.database import (
	Database,
	Outdated,
	Row,
	chunks,
	in_list,
	insert_many,
	insert_new,
	update,
	upsert_many,
)
from integration_hub.stores.ids import HASH_LENGTH, key
from integration_hub.stores.record_backoff import LONGEST_BACKOFF, backoff, is_given_up
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.seen_marks import Mark, told, told_at

DOCTYPE = "External Record"

_COMPARED = (
	"status",
	"target_name",
	"adopted",
	"source_time",
	"content_hash",
	"last_seen",
	"run_number",
	"missing_run",
	"attempts",
	"error_log",
	"part",
	"list_hash",
)
_MARK = ("last_seen", "run_number")
_STATE = (*_COMPARED, "error", "payload", "retry_at")
# Records that the source has, as far as is known. Not those without an id: which records they are is not known.
LIVE = "`status` IN ('Bound', 'Failed', 'Dead')"
_FAILURES = "`status` IN ('Failed', 'Unidentified')"  # tried again by themselves
NOT_WRITTEN = ("Failed", "Dead", "Unidentified")
KEPT = "kept"  # stands in place of the run that missed a record: a person has refused its removal
_ASKED = f"COALESCE(`missing_run`, '') <> '{KEPT}'"
SEVERAL = "*"  # stands in place of the list that a record is of, where it is of more than one
_PREFIX = 8  # hex digits of a binding's name that stand for its stream
_PLAIN_STATE = ("target_name", "source_time", "content_hash")


@dataclass(slots=True)
class Binding:
	"""One row. `name` is a hash of stream and external id: the primary key makes it unique, byte for byte."""

	name: str
	external_id: str
	target_name: str | None = None
	status: str = "Bound"
	adopted: int = 0
	source_time: str = ""
	content_hash: str = ""
	last_seen: str = ""
	run_number: int = 0  # number of the stream's last run when it was seen last (see stores.seen_marks)
	missing_run: str | None = None
	error: str | None = None
	error_log: str | None = None  # the failure that keeps it from being written
	payload: str | None = None
	part: str = (
		""  # which of its stream's lists the record is of, where a stream has many; "" if that is not known
	)
	list_hash: str = ""  # of its entry in the list, where its detail is fetched beside that
	attempts: int = 0
	retry_at: str | None = None
	new: bool = True
	read: tuple[str, str, str] | None = None  # what it was when it was read: status, hash, last seen
	taken: bool = False  # made by this transaction before its document was
	written: str = ""  # what has just happened to its document: "", changed, first

	@property
	def is_plain(self) -> bool:
		"""Tell whether it has nothing but what every binding has."""
		return self.status == "Bound" and not (self.adopted or self.missing_run or self.error or self.payload)

	@property
	def has_failed(self) -> bool:
		"""Tell whether the record's last state could not be written."""
		return self.status in NOT_WRITTEN

	@property
	def is_fresh(self) -> bool:
		"""Tell whether its record was in none of the stream's lists until now."""
		return self.new or self.taken or bool(self.read and self.read[0] == "Deleted")

	@property
	def had_failed(self) -> bool:
		"""Tell whether it was a record that could not be written when it was read."""
		return bool(self.read) and self.read[0] in NOT_WRITTEN

	def fail(self, runtime: Runtime, error: str, payload: str | None, counts: bool = True) -> bool:
		"""Note that the record could not be written; tell whether it is given up with that.

		It waits as stores.record_backoff says.
		counts: is it another attempt, and not the same one met again?
		"""
		self.attempts += counts
		self.missing_run, self.error, self.payload = None, error, payload
		self.content_hash = payload_hash(payload) if payload else ""
		wait = backoff(self.attempts)
		self.retry_at = runtime.now(ahead=wait) if wait else None
		if self.status == "Dead":
			return False
		given_up = is_given_up(self.attempts)
		self.status = "Dead" if given_up else "Failed" if self.external_id else "Unidentified"
		return given_up

	def settle(self) -> None:
		"""Note that nothing about the record waits any more."""
		self.error = self.error_log = self.payload = self.missing_run = self.retry_at = None
		self.attempts = 0


def payload_hash(payload: str) -> str:
	"""Return what tells one state of a record that could not be written from another."""
	return key("failed", payload)[:HASH_LENGTH]


def unidentified_name(stream: str, payload: str) -> str:
	"""Return the name of the row that keeps a record without an id."""
	return _prefix(stream) + key("unidentified", payload)[:HASH_LENGTH]


def binding_name(stream: str, external_id: str) -> str:
	"""Return the name of the row that binds a record of a stream; it begins with the stream's prefix."""
	return _prefix(stream) + key(external_id)[:HASH_LENGTH]


@cache
def _prefix(stream: str) -> str:
	"""Return how the names of a stream's bindings begin: its rows lie together, and need no index to be found."""
	return key(stream)[:_PREFIX]


def of_stream(stream: str) -> tuple[str, list[str]]:
	"""Return the condition that finds a stream's bindings, and its parameters."""
	return "`name` >= %s AND `name` < %s AND `stream` = %s", [*name_range(stream), stream]


def name_range(stream: str) -> tuple[str, str]:
	"""Return between which names a stream's bindings lie: from the first, and before the second.

	Those of another one may lie there too, if rarely.
	"""
	prefix = _prefix(stream)
	return prefix, f"{prefix}g"  # g: behind hex


def has_any(db: Database, stream: str) -> bool:
	"""Tell whether anything was ever bound by a stream."""
	where, params = of_stream(stream)
	return bool(db.query(f"SELECT 1 FROM `tab{DOCTYPE}` WHERE {where} LIMIT 1", params))


def unbound(stream: str, external_ids: Iterable[str]) -> dict[str, Binding]:
	"""Return a new binding for each external id."""
	return {
		external_id: Binding(binding_name(stream, external_id), external_id) for external_id in external_ids
	}


def load(db: Database, stream: str, external_ids: Iterable[str]) -> dict[str, Binding]:
	"""Return a binding for each external id, a new one where there is none yet."""
	found = {binding.name: binding for binding in unbound(stream, external_ids).values()}
	marks, values = in_list(found)
	fields = ", ".join(f"`{column}`" for column in ("name", *_COMPARED))
	for row in db.query(f"SELECT {fields} FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})", values):
		eid = found[row["name"]].external_id
		found[row["name"]] = _read({"external_id": eid, **row})
	return {binding.external_id: binding for binding in found.values()}


def hold(db: Database, found: Sequence[Binding]) -> None:
	"""Lock bindings that are about to change, or whose documents are to go, until the end of the transaction.

	Raises Outdated if one is no longer as it was read: the snapshot is older than an event's commit.
	"""
	if (
		not found or db.dialect == "sqlite"
	):  # there is one writer at a time, and it reads after it has begun to write
		return
	read = {binding.name: binding for binding in found}
	marks, names = in_list(read)
	sql = f"""SELECT `name`, `status`, `content_hash`, `last_seen` FROM `tab{DOCTYPE}`
		WHERE `name` IN ({marks}) FOR UPDATE"""
	now = {row["name"]: _texts({**row, "source_time": "", "run_number": 0}) for row in db.query(sql, names)}
	for name, binding in read.items():
		row = now.get(name)
		if not row or _as_read(row) != binding.read:
			raise Outdated(
				f"{DOCTYPE} of {binding.external_id!r}: an event or another run changed it meanwhile, "
				"at every attempt"
			)


def take(runtime: Runtime, stream: str, target_doctype: str, mark: Mark, found: Sequence[Binding]) -> None:
	"""Make the rows of new bindings before their documents are: who is about to make the same waits for the end of
	this transaction, and then finds them.

	Raises Outdated if one is there already: the snapshot is older than an event's commit. Nothing is lost by that yet.
	"""
	new = sorted((b for b in found if b.new), key=lambda b: b.name)  # an order that all keep to: no deadlock
	if (
		not new or runtime.db.dialect == "sqlite"
	):  # there is one writer at a time, and it reads after it has begun to write
		return
	now = runtime.now()
	same = {
		"stream": stream,
		"target_doctype": target_doctype,
		**_marked(mark),
		"creation": now,
		"modified": now,
	}
	rows = [(b.name, b.external_id) for b in new]
	if insert_new(runtime.db, DOCTYPE, ("name", "external_id"), rows, same, key="name") != len(rows):
		raise Outdated(_made_meanwhile(stream))
	for binding in new:
		binding.new, binding.taken = False, True


def give_up(db: Database, found: Iterable[Binding]) -> None:
	"""Remove the rows of bindings that were taken, and for which there was no time."""
	marks, names = in_list(binding.name for binding in found if binding.taken)
	if names:
		db.execute(f"DELETE FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})", names)


def _made_meanwhile(stream: str) -> str:
	return (
		f"{DOCTYPE} of stream {stream!r}: events or another run made records of this page meanwhile, "
		"at every attempt"
	)


def save(
	runtime: Runtime, stream: str, target_doctype: str, mark: Mark, bindings: Sequence[Binding], by: str = ""
) -> None:
	"""Write bindings, as last seen by whose mark it is; raises Outdated if another transaction has written a new one meanwhile.

	by: the run or event whose doing it is, as the name of its row.
	"""
	try:
		_save(runtime, stream, target_doctype, mark, bindings, by)
	except runtime.db.errors as error:
		if runtime.db.is_duplicate(error) or runtime.db.is_transient(error):
			raise Outdated(_made_meanwhile(stream)) from error
		raise


def _save(
	runtime: Runtime, stream: str, target_doctype: str, mark: Mark, bindings: Sequence[Binding], by: str
) -> None:
	same = {
		"stream": stream,
		"target_doctype": target_doctype,
		**_marked(mark),
		"creation": runtime.now(),
		"modified": runtime.now(),
	}
	written = {**same, "made_by": by, "changed_by": by}
	# A first load writes nothing but plain new ones: what is empty in them is not sent.
	first = [b for b in bindings if b.new and b.is_plain]
	seldom = [column for column in ("part", "list_hash") if any(getattr(b, column) for b in first)]
	plain = ("name", "external_id", *_PLAIN_STATE, *seldom)
	insert_many(runtime.db, DOCTYPE, plain, _rows(first, plain), {**written, "status": "Bound"})
	state = tuple(column for column in _STATE if column not in _MARK)
	columns = ("name", "external_id", *state)
	# A record that could not be written has no writer yet; the one that writes it later is the first.
	for failed, who in ((True, {**same, "changed_by": by}), (False, written)):
		others = [b for b in bindings if b.new and not b.is_plain and b.has_failed is failed]
		insert_many(runtime.db, DOCTYPE, columns, _rows(others, columns), who)
	for kind, who in (("", ()), ("changed", ("changed_by",)), ("first", ("made_by", "changed_by"))):
		known = [b for b in bindings if not b.new and b.written == kind]
		changed = (*state, *_MARK, "modified", *who)
		upsert_many(runtime.db, DOCTYPE, columns, _rows(known, columns), update=changed, same=written)


def _marked(mark: Mark) -> dict[str, str | int]:
	return {"last_seen": mark.by, "run_number": mark.number}


def _rows(bindings: Sequence[Binding], columns: Sequence[str]) -> list[list]:
	return [[getattr(binding, column) for column in columns] for binding in bindings]


def names_of(db: Database, stream: str, external_ids: Sequence[str]) -> dict[str, str]:
	"""Return the documents' names by the external ids they stand for; those without one are left out."""
	keys = {binding_name(stream, external_id): external_id for external_id in external_ids}
	marks, values = in_list(keys)
	sql = f"""SELECT `name`, `target_name` FROM `tab{DOCTYPE}`
		WHERE `name` IN ({marks}) AND `status` <> 'Deleted' AND `target_name` IS NOT NULL"""
	return {keys[row["name"]]: row["target_name"] for row in db.query(sql, values)}


def external_id_of(db: Database, stream: str, document: str) -> str | None:
	"""Return the external id that a document stands for in a stream, None if it stands for none."""
	sql = f"""SELECT `external_id` FROM `tab{DOCTYPE}`
		WHERE `target_name` = %s AND `stream` = %s AND `status` <> 'Deleted'"""
	rows = db.query(sql, [document, stream])
	return rows[0]["external_id"] if rows else None


@dataclass(frozen=True)
class Part:
	"""One of the lists of a stream, by what tells it from the others; "" for none. is_first: is each list fetched?

	A record of which no list is known may be of one that is not fetched now: only where all are, the first is its own.
	"""

	key: str = ""
	is_first: bool = False

	def of(self, binding: Binding) -> str:
		"""Return the list that a record is of, now that it was met in this one."""
		if not self.key:
			return binding.part
		if binding.is_fresh:
			return self.key
		if not binding.part:
			return self.key if self.is_first else ""
		return self.key if binding.part == self.key else SEVERAL


def mark_part(db: Database, names: Iterable[str], part: Part) -> None:
	"""Note of which list records are that were met unchanged, by their bindings' names."""
	marks, names = in_list(names)
	if not (names and part.key):
		return
	sql = f"""UPDATE `tab{DOCTYPE}` SET `part` = CASE WHEN COALESCE(`part`, '') = '' THEN %s ELSE %s END
		WHERE `name` IN ({marks}) AND COALESCE(`part`, '') <> %s"""
	db.execute(sql, [part.key if part.is_first else "", SEVERAL, *names, part.key])


def mark_absent(db: Database, stream: str, parts: Sequence[str], number: int) -> None:
	"""Note on what nobody has seen since run `number` began that its list, one of those named, does not hold it."""
	where, params = of_stream(stream)
	marks, keys = in_list(parts)
	sql = f"""SELECT `name` FROM `tab{DOCTYPE}` WHERE {where} AND {LIVE}
		AND COALESCE(`run_number`, 0) < %s AND `part` IN ({marks})"""
	absent = [row["name"] for row in db.query(sql, [*params, number, *keys])]
	for names in chunks(absent, 1000):
		marks, values = in_list(names)
		db.execute(
			f"UPDATE `tab{DOCTYPE}` SET `absent_run` = %s WHERE `name` IN ({marks})", [number, *values]
		)


def mark_seen(db: Database, names: Iterable[str], mark: Mark) -> None:
	"""Note that records, by their bindings' names, were seen; who has seen one since stays who has seen it last."""
	marks, names = in_list(names)
	if not names:
		return
	stays = (
		"WHEN `run_number` >= %s THEN"  # the number last: MariaDB goes by what a statement has set already
	)
	sql = f"""UPDATE `tab{DOCTYPE}` SET `missing_run` = NULL,
		`last_seen` = CASE {stays} `last_seen` ELSE %s END, `run_number` = CASE {stays} `run_number` ELSE %s END
		WHERE `name` IN ({marks})"""
	than = mark.overruled_from
	db.execute(sql, [than, mark.by, than, mark.number, *names])


def mark_told(db: Database, found: Iterable[Binding], number: int) -> None:
	"""Note that run `number` has fetched records, of which an event had brought a later state: it still counts as the last."""
	for binding in found:
		mark_seen(db, [binding.name], Mark(told(told_at(binding.last_seen)), number))


def bound_names(db: Database, stream: str, names: Sequence[str]) -> set[str]:
	"""Return those documents' names that stand for a record of the stream already."""
	if not names:
		return set()
	marks, values = in_list(names)
	sql = f"""SELECT `target_name` FROM `tab{DOCTYPE}`
		WHERE `target_name` IN ({marks}) AND `stream` = %s AND `status` <> 'Deleted'"""
	return {row["target_name"] for row in db.query(sql, [*values, stream])}


def unseen(number: int, absent: bool = False) -> tuple[str, list[int]]:
	"""Return the condition that finds what nobody has seen since run `number` began, and its parameters.

	Not what a person has refused to remove. absent: only what is of a list that was whole, and does not hold it.
	"""
	condition, params = f"COALESCE(`run_number`, 0) < %s AND {_ASKED}", [number]
	return (f"{condition} AND `absent_run` = %s", [*params, number]) if absent else (condition, params)


def count_live(db: Database, stream: str, unseen_since: int = 0, absent: bool = False) -> int:
	"""Count bindings to documents, all or those that nobody has seen since a run began, by its number; see unseen."""
	where, params = of_stream(stream)
	condition, number = unseen(unseen_since, absent) if unseen_since else ("1 = 1", [])
	sql = f"SELECT COUNT(*) AS `n` FROM `tab{DOCTYPE}` WHERE {where} AND {LIVE} AND {condition}"
	return db.query(sql, [*params, *number])[0]["n"]


def greatest_number(db: Database, stream: str) -> int:
	"""Return the greatest number of a run in which a record of the stream was seen, 0 for none."""
	where, params = of_stream(stream)
	return db.query(f"SELECT MAX(`run_number`) AS `n` FROM `tab{DOCTYPE}` WHERE {where}", params)[0]["n"] or 0


def count_held(db: Database, stream: str, run: str) -> int:
	"""Count the bindings whose removal waits for approval since a run."""
	where, params = of_stream(stream)
	sql = f"""SELECT COUNT(*) AS `n` FROM `tab{DOCTYPE}`
		WHERE {where} AND {LIVE} AND `missing_run` = %s"""
	return db.query(sql, [*params, run])[0]["n"]


def mark_missing(db: Database, stream: str, run: str, number: int, absent: bool = False) -> int:
	"""Note on what nobody has seen since run `number` began that it waits for approval; return how many wait.

	absent: as unseen takes it.
	"""
	where, params = of_stream(stream)
	condition, since = unseen(number, absent)
	sql = f"UPDATE `tab{DOCTYPE}` SET `missing_run` = %s WHERE {where} AND {LIVE} AND {condition}"
	db.execute(sql, [run, *params, *since])
	return count_held(db, stream, run)


def keep_missing(db: Database, stream: str, run: str) -> int:
	"""Note on the bindings that wait for approval since a run that their removal is refused; return how many.

	It is so until the source has the record again, or somebody wants to be asked again.
	"""
	where, params = of_stream(stream)
	sql = (
		f"UPDATE `tab{DOCTYPE}` SET `missing_run` = '{KEPT}' WHERE {where} AND {LIVE} AND `missing_run` = %s"
	)
	return db.execute(sql, [*params, run])


def count_kept(db: Database, stream: str) -> int:
	"""Count the bindings of a stream whose removal a person has refused."""
	where, params = of_stream(stream)
	sql = f"SELECT COUNT(*) AS `n` FROM `tab{DOCTYPE}` WHERE {where} AND `missing_run` = '{KEPT}'"
	return db.query(sql, params)[0]["n"]


def ask_again(db: Database, stream: str) -> int:
	"""Forget which removals of a stream were refused; return how many. The next run that misses them asks."""
	where, params = of_stream(stream)
	sql = f"UPDATE `tab{DOCTYPE}` SET `missing_run` = NULL WHERE {where} AND `missing_run` = '{KEPT}'"
	return db.execute(sql, params)


def mark_deleted(
	runtime: Runtime, names: Sequence[str], forget_target: bool, by: str = "", at: str = ""
) -> None:
	"""Note that the documents of bindings, by the bindings' names, are gone or disabled.

	forget_target: a later document of that name is another one.
	by: the run that did it. at: since when they are gone (UTC), unless they have changed since.
	"""
	marks, values = in_list(names)
	target = ", `target_name` = NULL" if forget_target else ""
	runtime.db.execute(
		f"""UPDATE `tab{DOCTYPE}` SET `status` = 'Deleted', `content_hash` = '', `error` = NULL,
			`error_log` = NULL, `payload` = NULL, `missing_run` = NULL, `attempts` = 0, `retry_at` = NULL, `changed_by` = %s, `modified` = %s,
			`source_time` = CASE WHEN COALESCE(`source_time`, '') < %s THEN %s ELSE `source_time` END{target}
			WHERE `name` IN ({marks})""",
		[by, runtime.now(), at, at, *values],
	)


def due_failures(runtime: Runtime, stream: str, most: int) -> list[str]:
	"""Return the names of a stream's bindings that are due for another attempt, by source time, `most` of them."""
	where, params = of_stream(stream)
	due = "(`retry_at` IS NULL OR `retry_at` <= %s OR `retry_at` > %s)"  # a clock was ahead, for nothing waits so long
	sql = f"""SELECT `name` FROM `tab{DOCTYPE}`
		WHERE {where} AND {_FAILURES} AND `payload` IS NOT NULL AND {due}
		ORDER BY COALESCE(`source_time`, ''), `name` LIMIT {int(most)}"""
	between = [runtime.now(), runtime.now(ahead=LONGEST_BACKOFF + slack(runtime))]
	return [row["name"] for row in runtime.db.query(sql, [*params, *between])]


def has_failures(db: Database, stream: str) -> bool:
	"""Tell whether a stream has records that are tried again by themselves."""
	where, params = of_stream(stream)
	return bool(db.query(f"SELECT 1 FROM `tab{DOCTYPE}` WHERE {where} AND {_FAILURES} LIMIT 1", params))


def count_failed(db: Database, stream: str) -> int:
	"""Count a stream's records that could not be written, those among them that were given up."""
	marks, statuses = in_list(NOT_WRITTEN)
	sql = f"SELECT COUNT(*) AS `n` FROM `tab{DOCTYPE}` WHERE `status` IN ({marks}) AND `stream` = %s"
	return db.query(sql, [*statuses, stream])[0]["n"]


def kept_back(db: Database, stream: str, error_log: str | None, status: str = "") -> bool:
	"""Tell whether a failure, by the name of its row, keeps records of a stream from being written.

	None: is there a record of which no failure is known? status: one that they have, any of NOT_WRITTEN if it is "".
	"""
	marks, statuses = in_list([status] if status else NOT_WRITTEN)
	which, values = ("= %s", [error_log]) if error_log else ("IS NULL", [])
	sql = f"""SELECT 1 FROM `tab{DOCTYPE}` WHERE `status` IN ({marks}) AND `stream` = %s
		AND `error_log` {which} LIMIT 1"""
	return bool(db.query(sql, [*statuses, stream, *values]))


def by_name(db: Database, names: Sequence[str]) -> list[Binding]:
	"""Return bindings with all they have, in the order of the names given; what is gone is left out."""
	marks, values = in_list(names)
	fields = ", ".join(f"`{column}`" for column in ("name", "external_id", *_STATE))
	rows = db.query(f"SELECT {fields} FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})", values)
	found = {row["name"]: Binding(new=False, **_texts(row)) for row in rows}
	return [found[name] for name in names if name in found]


def make_due(runtime: Runtime, stream: str, names: Sequence[str]) -> None:
	"""Have the next run of a stream try records again, those that were given up too."""
	marks, values = in_list(names)
	sql = f"""UPDATE `tab{DOCTYPE}` SET `retry_at` = NULL, `attempts` = 0, `modified` = %s,
		`status` = CASE WHEN `external_id` = '' THEN 'Unidentified' ELSE 'Failed' END
		WHERE `name` IN ({marks}) AND `status` IN ('Failed', 'Dead', 'Unidentified')"""
	runtime.db.execute(sql, [runtime.now(), *values])
	update(runtime.db, "Sync Settings", stream, {"has_failed": 1})


def drop_identified(db: Database, names: Sequence[str], seen: str) -> None:
	"""Delete the rows of records without an id, of those named, that run `seen` has found one for."""
	marks, values = in_list(names)
	sql = f"""DELETE FROM `tab{DOCTYPE}`
		WHERE `name` IN ({marks}) AND `external_id` = '' AND COALESCE(`last_seen`, '') <> %s"""
	db.execute(sql, [*values, seen])


def drop_unidentified(db: Database, stream: str, seen: str) -> None:
	"""Delete the rows of records without an id that a fetch of everything has not met again."""
	where, params = of_stream(stream)
	sql = (
		f"DELETE FROM `tab{DOCTYPE}` WHERE {where} AND `external_id` = '' AND COALESCE(`last_seen`, '') <> %s"
	)
	db.execute(sql, [*params, seen])


def forget(db: Database, stream: str) -> int:
	"""Delete all that a stream has bound; return how many there were. No row of another stream is looked at."""
	where, params = of_stream(stream)
	return db.execute(f"DELETE FROM `tab{DOCTYPE}` WHERE {where}", params)


def mark_kept(db: Database, name: str, error: str) -> None:
	"""Note why the document of a binding could not be removed."""
	db.execute(f"UPDATE `tab{DOCTYPE}` SET `error` = %s WHERE `name` = %s", [error, name])


def after(
	db: Database, stream: str, where: str, params: Sequence[object], last: str = "", size: int = 100
) -> list[Binding]:
	"""Return a stream's next `size` bindings, by name, that fit a condition and come behind name `last`."""
	of, keys = of_stream(stream)
	fields = ", ".join(f"`{column}`" for column in ("name", "external_id", *_STATE))
	sql = f"""SELECT {fields} FROM `tab{DOCTYPE}` WHERE {of} AND ({where}) AND `name` > %s
		ORDER BY `name` LIMIT {int(size)}"""
	return [_read(row) for row in db.query(sql, [*keys, *params, last])]


def _read(row: Row) -> Binding:
	state = _texts(row)
	return Binding(new=False, read=_as_read(state), **state)


def _as_read(state: Row) -> tuple[str, str, str]:
	return state["status"], state["content_hash"], state["last_seen"]


def _texts(row: Row) -> Row:
	"""Return the row without None in the columns that are compared."""
	texts = {
		name: row[name] or ""
		for name in ("source_time", "content_hash", "last_seen", "part", "list_hash")
		if name in row
	}
	return {**row, **texts, "run_number": row["run_number"] or 0}
