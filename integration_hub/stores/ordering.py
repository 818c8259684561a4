"""Order of the inbox: an event waits for the one before it of the same ordering key.

Each waiting row says what it waits for (`turn`), so that nobody looks twice at one that cannot be taken, however many
there are and whatever they wait for:

- MY_TURN: nothing is known against it. So are all rows when they come: the endpoints look at nothing.
- BEHIND: another one of its key has to be done before. That one is marked as `followed`; who settles it lets on those
  behind it, a hundred at a time, the last of which is followed in turn.
- AT_TIME: its `next_attempt_at` has to come.

Who looks for something to take (`look`) writes down what else it has found (`tidy`). A row holds its place in its key,
and those behind it back, while it is being handled, and while it waits, unless its handler has asked to come back later.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from integration_hub.stores.clock import slack
from integration_hub.stores.database import Database, Row, as_it_is, in_list, in_transaction
from integration_hub.stores.doctype_tables import along
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.work_table import INBOX, WorkTable

MY_TURN, BEHIND, AT_TIME = 0, 1, 2
LOOK_SECONDS = 0.25  # a look ends after so long; what it has found is written down, and the next one goes on
WINDOW = 200  # rows looked at in one go
MOST_DUE = 4000  # more are not counted
_LET_ON = 100  # rows let on at a time, as many as a drain takes in one go
_SAMPLE = 300  # rows behind others that each sweep looks at: is there still one in front of them?
_MOST_KEYS = 5000  # ordering keys of events that come together; of more, nobody asks whether all of them wait
LONGEST_WAIT = 9 * 3600.0  # nothing is tried again, or comes back, later than that
_AGAIN_SECONDS = 60.0  # until a deferred event that finds another one before it is looked at again

# The indexes that what is asked here goes along (see schema.INDEXES).
BY_NAME = ("integration", "status", "turn", "name", "ordering_key", "next_attempt_at", "deferrals")
BY_TIME = ("integration", "status", "turn", "next_attempt_at", "name")
BY_KEY = ("integration", "status", "ordering_key", "turn", "deferrals", "name")

# Where rows are named: SQLite would look for them among all of their state.
STATE = "COALESCE(`status`, '')"

_ROW = "`name`, `ordering_key`, `status`, `turn`, `deferrals`, `next_attempt_at`"


@dataclass
class Look:
	"""The result of a look at waiting rows.

	untried, retries: those that can be taken, the oldest first. behind: who cannot, by name, and whom it waits for.
	early: those whose time has not come. again: deferred ones with another one before them. headless: keys of which all
	wait and nobody is in front. last: the last untried row looked at; more: there may be others after it.
	"""

	untried: list[Row] = field(default_factory=list)
	retries: list[Row] = field(default_factory=list)
	behind: dict[str, str] = field(default_factory=dict)
	early: list[str] = field(default_factory=list)
	again: list[str] = field(default_factory=list)
	headless: set[str] = field(default_factory=set)
	last: str = ""
	more: bool = False

	@property
	def count(self) -> int:
		"""Return how many rows can be taken."""
		return len(self.untried) + len(self.retries)


def look(
	runtime: Runtime,
	integration: str,
	size: int,
	retries: int,
	after: str = "",
	table: WorkTable = INBOX,
) -> Look:
	"""Look at up to `size` untried rows behind the row `after`, and up to `retries` others whose time has come."""
	found, now = Look(last=after), runtime.now()
	rows = _window(runtime, integration, size, retries, after, now, table)
	lanes = _lanes(runtime.db, rows, table)
	taken: set[str] = set()
	for row in sorted(rows, key=lambda row: row["name"]):
		if row["status"] == table.untried and row["turn"] == MY_TURN:
			found.last, found.more = row["name"], found.more + 1
		if _is_early(row, now):
			found.early.append(row["name"])
		elif not row["ordering_key"] or _is_free(row, lanes[row["name"]], found, taken, table):
			taken.add(row["name"])
			(found.untried if row["status"] == table.untried else found.retries).append(row)
	found.more = found.more >= size
	return found


def _window(
	runtime: Runtime,
	integration: str,
	size: int,
	retries: int,
	after: str,
	now: str,
	table: WorkTable,
) -> list[Row]:
	by_name, by_time = (
		f"SELECT {_ROW} FROM `tab{table.doctype}` {along(runtime.db, table.doctype, index)} WHERE `integration` = %(integration)s"
		for index in (BY_NAME, BY_TIME)
	)
	mine = f"`turn` = {MY_TURN} AND `name` > %(after)s ORDER BY `name` LIMIT {int(size)}"
	parts = [f"{by_name} AND `status` = '{table.untried}' AND {mine}"]
	if retries:
		tried = f"`turn` = {MY_TURN} ORDER BY `name` LIMIT {int(retries)}"
		parts.append(f"{by_name} AND `status` = 'Failed' AND {tried}")
		due = f"`turn` = {AT_TIME} AND `next_attempt_at` <= %(now)s ORDER BY `next_attempt_at` LIMIT {int(retries)}"
		parts += [f"{by_time} AND `status` = '{status}' AND {due}" for status in (table.untried, "Failed")]
	sql = " UNION ALL ".join(f"SELECT * FROM ({part}) `part_{n}`" for n, part in enumerate(parts))
	return runtime.db.query(sql, {"integration": integration, "after": after, "now": now})


@dataclass(frozen=True)
class Lane:
	"""The first ones of an ordering key, by name, "" where there is none: being handled, waiting, waiting behind others."""

	in_hand: str
	failed: str
	queued: str
	behind: str


def _first(table: WorkTable, status: str, turn: int | None = None) -> str:
	"""Return SQL for the first row of the key of `w` in a state; all it reads is the beginning of an index."""
	which = "" if turn is None else f"AND `b`.`turn` = {turn} AND `b`.`deferrals` = 0 ORDER BY `b`.`name`"
	return f"""(SELECT `b`.`name` FROM `tab{table.doctype}` `b` {{along}} WHERE `b`.`integration` = `w`.`integration`
		AND `b`.`status` = '{status}' AND `b`.`ordering_key` = `w`.`ordering_key` {which} LIMIT 1)"""


@cache
def _first_ones(table: WorkTable) -> dict[str, str]:
	"""Return SQL for the first row of a key in each state that decides whose turn it is, with a place for `{along}`."""
	return {
		"in_hand": _first(table, table.taken),
		"failed": _first(table, "Failed", MY_TURN),
		"failed_later": _first(table, "Failed", AT_TIME),
		"queued": _first(table, table.untried, MY_TURN),
		"queued_later": _first(table, table.untried, AT_TIME),
		"behind": _first(table, table.untried, BEHIND),
		"behind_failed": _first(table, "Failed", BEHIND),
	}


def _lanes(db: Database, rows: Iterable[Row], table: WorkTable) -> dict[str, Lane]:
	"""Return the lanes of rows that have a key, by the rows' names."""
	by_key: dict[str, list[str]] = {}
	for row in rows:
		if row["ordering_key"]:
			by_key.setdefault(row["ordering_key"], []).append(row["name"])
	if not by_key:
		return {}
	marks, names = in_list(same[0] for same in by_key.values())
	hint = along(db, table.doctype, BY_KEY)
	firsts = ", ".join(f"{sql.format(along=hint)} AS `{name}`" for name, sql in _first_ones(table).items())
	sql = f"SELECT `w`.`name`, {firsts} FROM `tab{table.doctype}` `w` WHERE `w`.`name` IN ({marks})"
	found = {row["name"]: _lane(row) for row in db.query(sql, names)}
	nobody = Lane("", "", "", "")  # it was deleted meanwhile
	return {name: found.get(same[0], nobody) for same in by_key.values() for name in same}


def _lane(row: Row) -> Lane:
	def first(*columns: str) -> str:
		return min((row[column] for column in columns if row[column]), default="")

	return Lane(
		row["in_hand"] or "",
		first("failed", "failed_later"),
		first("queued", "queued_later"),
		first("behind", "behind_failed"),
	)


def _is_early(row: Row, now: str) -> bool:
	"""Tell whether a row that says nothing of it yet waits for its time.

	An untried one does not, whatever the clocks of two hosts say: order does not hang on them.
	"""
	tried = row["status"] == "Failed" or row["deferrals"]
	return bool(row["turn"] == MY_TURN and tried and str(row["next_attempt_at"] or "") > now)


def _is_free(row: Row, lane: Lane, found: Look, taken: set[str], table: WorkTable) -> bool:
	"""Tell whether a row can be taken now; notes what it waits for if not."""
	name = row["name"]
	waiting = [first for first in (lane.failed, lane.queued) if first]
	head = min(waiting, default="")
	if lane.in_hand:
		_note_behind(row, lane.in_hand, found)
		return False
	if lane.behind and lane.behind < name and not (head and head < lane.behind):
		found.headless.add(row["ordering_key"])
		return False
	if not head or name <= head:
		return True
	# Untried ones go along with the one before them: they are looked at in their order, without a gap.
	goes_along = row["status"] == table.untried and row["turn"] == MY_TURN and not row["deferrals"]
	if (
		goes_along
		and head == lane.queued
		and head in taken
		and not _one_before(name, lane.failed, lane.behind)
	):
		return True
	_note_behind(row, head, found)
	return False


def _one_before(name: str, *others: str) -> bool:
	return any(other and other < name for other in others)


def _note_behind(row: Row, head: str, found: Look) -> None:
	if row["deferrals"]:
		found.again.append(row["name"])
	else:
		found.behind[row["name"]] = head


def tidy(runtime: Runtime, integration: str, found: Look, table: WorkTable = INBOX) -> int:
	"""Write down what rows wait for, in a transaction of its own; return how many rows have changed."""
	if not (found.behind or found.early or found.again or found.headless):
		return 0

	def write() -> int:
		changed = _set(runtime.db, table, found.early, f"`turn` = {AT_TIME}", f"`turn` = {MY_TURN}")
		later = f"`turn` = {AT_TIME}, `next_attempt_at` = '{runtime.now(ahead=_AGAIN_SECONDS)}'"
		changed += _set(runtime.db, table, found.again, later, "1 = 1")
		changed += _put_behind(runtime, found.behind, table)
		return changed + sum(let_on_key(runtime, integration, key, table) for key in sorted(found.headless))

	return in_transaction(runtime.db, write)


def _set(db: Database, table: WorkTable, names: Sequence[str], sets: str, where: str) -> int:
	if not names:
		return 0
	marks, values = in_list(sorted(names))
	sql = f"UPDATE `tab{table.doctype}` SET {sets} WHERE `name` IN ({marks}) AND {STATE} IN {table.waiting} AND {where}"
	return db.execute(sql, values)


def _put_behind(runtime: Runtime, behind: dict[str, str], table: WorkTable) -> int:
	"""Have rows wait for those in front of them, as far as these are still there: who has one locked is settling it."""
	if not behind:
		return 0
	marks, values = in_list(sorted(set(behind.values())))
	sql = f"""SELECT `name` FROM `tab{table.doctype}` WHERE `name` IN ({marks})
		AND ({STATE} = '{table.taken}' OR ({STATE} IN {table.waiting} AND `deferrals` = 0)) {runtime.db.row_lock}"""
	there = {row["name"] for row in runtime.db.query(sql, values)}
	rows = [name for name, head in behind.items() if head in there]
	if not rows:
		return 0
	marks, values = in_list(sorted(there))
	runtime.db.execute(
		f"UPDATE `tab{table.doctype}` SET `followed` = 1 WHERE `name` IN ({marks}) AND `followed` = 0", values
	)
	return _set(
		runtime.db,
		table,
		rows,
		f"`turn` = {BEHIND}, `next_attempt_at` = NULL",
		f"`turn` <> {BEHIND} AND `deferrals` = 0",
	)


def let_on(runtime: Runtime, rows: Sequence[Row], table: WorkTable = INBOX) -> None:
	"""Let on what is behind rows that have given up their place, within the transaction in which they do."""
	names = {row["name"]: row for row in rows if row["ordering_key"]}
	if not names:
		return
	marks, values = in_list(sorted(names))
	sql = f"SELECT `name` FROM `tab{table.doctype}` WHERE `name` IN ({marks}) AND `followed` = 1 {as_it_is(runtime.db)}"
	followed = [row["name"] for row in runtime.db.query(sql, values)]
	if not followed:
		return
	marks, values = in_list(followed)
	runtime.db.execute(f"UPDATE `tab{table.doctype}` SET `followed` = 0 WHERE `name` IN ({marks})", values)
	for integration, key in sorted(
		{(names[name]["integration"], names[name]["ordering_key"]) for name in followed}
	):
		let_on_key(runtime, integration, key, table)


def let_on_key(runtime: Runtime, integration: str, key: str, table: WorkTable = INBOX) -> int:
	"""Give the first ones of a key that wait behind others their turn, within the current transaction; return how many."""
	hint = along(runtime.db, table.doctype, BY_KEY)
	mine = f"""SELECT `name` FROM `tab{table.doctype}` {hint}
		WHERE `integration` = %s AND `status` = %s AND `ordering_key` = %s
		AND `turn` = {BEHIND} ORDER BY `deferrals`, `name` LIMIT {_LET_ON + 1} {as_it_is(runtime.db)}"""
	found = [
		row["name"]
		for status in (table.untried, "Failed")
		for row in runtime.db.query(mine, [integration, status, key])
	]
	names = sorted(found)[:_LET_ON]
	if not names:
		return 0
	if len(found) > len(names):
		runtime.db.execute(f"UPDATE `tab{table.doctype}` SET `followed` = 1 WHERE `name` = %s", [names[-1]])
	return _set(runtime.db, table, names, f"`turn` = {MY_TURN}", f"`turn` = {BEHIND}")


def find_headless(runtime: Runtime, integration: str, table: WorkTable = INBOX) -> int:
	"""Let on rows behind one that is gone without a word (deleted, say); return how many. A sample, each time another one."""
	rows = _sample(runtime, integration, table)
	lanes = _lanes(runtime.db, rows, table)
	keys = {row["ordering_key"] for row in rows if row["ordering_key"] and _has_no_head(lanes[row["name"]])}
	alone = [row["name"] for row in rows if not row["ordering_key"]]  # nobody can be in front of these
	if not (keys or alone):
		return 0

	def write() -> int:
		changed = _set(runtime.db, table, alone, f"`turn` = {MY_TURN}", f"`turn` = {BEHIND}")
		return changed + sum(let_on_key(runtime, integration, key, table) for key in sorted(keys))

	return in_transaction(runtime.db, write)


def _has_no_head(lane: Lane) -> bool:
	return not lane.in_hand and not (lane.behind and _one_before(lane.behind, lane.failed, lane.queued))


def _sample(runtime: Runtime, integration: str, table: WorkTable) -> list[Row]:
	hint = along(runtime.db, table.doctype, BY_NAME)
	mine = f"""SELECT `name`, `ordering_key` FROM `tab{table.doctype}` {hint}
		WHERE `integration` = %s AND `status` = %s AND `turn` = {BEHIND}"""
	rows: list[Row] = []
	for status in (table.untried, "Failed"):
		ends = [
			runtime.db.query(f"{mine} ORDER BY `name` {way} LIMIT 1", [integration, status])
			for way in ("", "DESC")
		]
		if ends[0]:
			first, last = (int(end[0]["name"][:14], 16) if _is_id(end[0]["name"]) else 0 for end in ends)
			start = f"{random.randint(first, max(first, last)):014x}"
			for at in (start, ""):
				sql = f"{mine} AND `name` >= %s ORDER BY `name` LIMIT {_SAMPLE}"
				rows += runtime.db.query(sql, [integration, status, at])
	return rows


def _is_id(name: str) -> bool:
	try:
		return int(name[:14], 16) >= 0
	except ValueError:
		return False


def repair_times(runtime: Runtime, integration: str, table: WorkTable = INBOX) -> int:
	"""Mend times that a clock that was ahead has left on what waits, the farthest first; return how many rows that were.

	Nothing is put off for longer than LONGEST_WAIT, or was put off at a time to come.
	"""
	at_time = f"FROM `tab{table.doctype}` {along(runtime.db, table.doctype, BY_TIME)} WHERE `integration` = %s AND `status` = %s AND `turn` = {AT_TIME}"
	nowhen = f"SELECT `name` {at_time} AND `next_attempt_at` IS NULL LIMIT {_SAMPLE}"
	farthest = f"""SELECT `name`, `modified`, `next_attempt_at` {at_time} AND `next_attempt_at` > %s
		ORDER BY `next_attempt_at` DESC LIMIT {_SAMPLE}"""
	now, beyond, soon = runtime.now(), runtime.now(ahead=LONGEST_WAIT), runtime.now(ahead=slack(runtime))
	names: list[str] = []
	for status in (table.untried, "Failed"):
		names += [row["name"] for row in runtime.db.query(nowhen, [integration, status])]
		for row in runtime.db.query(farthest, [integration, status, soon]):
			if str(row["next_attempt_at"]) > beyond or str(row["modified"] or "") > soon:
				names.append(row["name"])
	if not names:
		return 0
	sets = f"`turn` = {MY_TURN}, `next_attempt_at` = '{now}', `modified` = '{now}'"
	return in_transaction(runtime.db, lambda: _set(runtime.db, table, names, sets, f"`turn` = {AT_TIME}"))


def waits_for_retry(
	runtime: Runtime, integration: str, keys: Collection[str], table: WorkTable = INBOX
) -> bool:
	"""Tell whether events with these keys all stand behind one that waits for its retry: nothing is to be done now."""
	different = set(keys)
	if not different or "" in different or len(different) > _MOST_KEYS:
		return False
	sql = f"""SELECT 1 FROM `tab{table.doctype}` {along(runtime.db, table.doctype, BY_KEY)}
		WHERE `integration` = %s AND `status` = 'Failed' AND `ordering_key` = %s
		AND `turn` IN ({MY_TURN}, {BEHIND}, {AT_TIME}) AND `deferrals` = 0 LIMIT 1"""
	return all(runtime.db.query(sql, [integration, key]) for key in different)


def due(runtime: Runtime, seconds: float = LOOK_SECONDS, table: WorkTable = INBOX) -> dict[str, int]:
	"""Return how many events each enabled integration has to handle now, of those that have any; at most MOST_DUE.

	What stands behind an event that waits for its retry is not due before that is. Writes down what rows wait for. Takes
	about so many seconds: where they do not suffice, an integration counts as one that has something to look at.
	"""
	names = enabled_integrations(runtime)
	until = time.monotonic() + seconds
	counts = {name: count_due(runtime, name, until, table) for name in random.sample(names, len(names))}
	return {name: counts[name] for name in names if counts[name]}


def enabled_integrations(runtime: Runtime) -> list[str]:
	"""Return the names of the enabled integrations, in order."""
	rows = runtime.db.query(
		"SELECT `name` FROM `tabIntegration Settings` WHERE `enabled` = 1 ORDER BY `name`"
	)
	return [row["name"] for row in rows]


def count_due(runtime: Runtime, integration: str, until: float, table: WorkTable = INBOX) -> int:
	"""Count the events of an integration that can be taken now, at most MOST_DUE, until a time (of time.monotonic)."""
	found = look(runtime, integration, WINDOW, WINDOW // 2, table=table)
	while tidy(runtime, integration, found, table) and time.monotonic() < until:
		found = look(runtime, integration, WINDOW, WINDOW // 2, table=table)
	count = found.count
	while found.more and count < MOST_DUE and time.monotonic() < until:
		found = look(runtime, integration, WINDOW, 0, found.last, table)
		tidy(runtime, integration, found, table)
		count += found.count
	return count or int(found.more or bool(found.behind))
