"""Taking events of the inbox to handle them: each row belongs to one claimant at a time.

Rows that share an ordering key are handled one at a time, in the order they arrived in (their names sort by
it), however many claimants there are; other keys go on meanwhile. A row is held back while

- another row of its key is being handled, or
- an earlier one is still to be handled or waits for its retry, and is not taken together with it.

A row whose handler asked to come back later has given up its place: it holds nobody back.

Queued is what was not tried yet, Failed what was, and is to be tried again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from integration_hub.stores.attempts import LOST, Attempt, with_attempt
from integration_hub.stores.database import Row, in_list, in_transaction
from integration_hub.stores.ids import new_id
from integration_hub.stores.ordering import LOOK_SECONDS, MY_TURN, STATE, Look, let_on, look, tidy
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.work_table import INBOX, WorkTable

SLOTS = 32  # drains of one integration at the same time, on all hosts
_RETRIES = 20  # how many are tried for one that nobody else has locked
_MOST_RETRIES = 100
_MOST_LOOKED_AT = 400  # rows looked at in one go, where there is nothing to take among fewer

_MOST_BYTES = (
	8_000_000  # bytes of the payloads of one claim, which are all in memory; a single one may be larger
)


@contextmanager
def slot(runtime: Runtime, integration: str, table: WorkTable = INBOX) -> Iterator[str]:
	"""Hold one of an integration's slots for a block, and have its name; "" if all are taken.

	A slot is a lock that dies with its owner: who finds it free knows that what was claimed from it is nobody's.
	"""
	with ExitStack() as stack:
		for number in range(SLOTS):
			if stack.enter_context(runtime.lock(_slot_lock(table, integration, str(number)))):
				yield str(number)
				return
			stack.close()
		yield ""


def _slot_lock(table: WorkTable, integration: str, slot: str) -> str:
	return f"{table.slot}:{integration}:{slot}"


def claim_due(
	runtime: Runtime,
	integration: str,
	size: int,
	slot: str = "",
	until: float = 0,
	table: WorkTable = INBOX,
) -> list[Row]:
	"""Take up to `size` due rows, oldest first; each belongs to one claimant. Commits. Not within a transaction.

	The attempt is counted here, before anything can go wrong: an event that kills its worker is counted too.
	A row that was tried before is taken alone, so that it takes no other with it.

	slot: the one that the claimant holds. until: of time.monotonic, how long to look among rows that cannot be taken;
	LOOK_SECONDS unless it is given. The next claim goes on from there.
	"""
	until = until or time.monotonic() + LOOK_SECONDS
	at_once, after = size, ""
	while True:
		rows, found = in_transaction(
			runtime.db, lambda at=(at_once, after): _take(runtime, integration, size, slot, *at, table)
		)
		changed = tidy(runtime, integration, found, table)
		if rows or not (changed or found.more) or time.monotonic() >= until:
			return _without_rivals(runtime, integration, rows, table)
		at_once, after = min(at_once * 4, _MOST_LOOKED_AT), after if changed else found.last


def _take(
	runtime: Runtime,
	integration: str,
	size: int,
	slot: str,
	at_once: int,
	after: str,
	table: WorkTable,
) -> tuple[list[Row], Look]:
	"""Claim rows within the current transaction; return them, and what else was found."""
	retries = _MOST_RETRIES if at_once > size else _RETRIES
	found = look(runtime, integration, at_once, retries, after, table)
	rows = _lock_some(runtime, found, size, table)
	if rows:
		claim = f"{slot}:{new_id()}"
		marks, names = in_list(row["name"] for row in rows)
		runtime.db.execute(
			f"""UPDATE `tab{table.doctype}` SET `status` = '{table.taken}', `turn` = {MY_TURN}, `claim` = %s,
				`claimed_at` = %s, `attempts` = `attempts` + 1 WHERE `name` IN ({marks})""",
			[claim, runtime.now(), *names],
		)
		for row in rows:
			row.update(claim=claim, attempts=row["attempts"] + 1)
	return rows, found


def _lock_some(runtime: Runtime, found: Look, size: int, table: WorkTable) -> list[Row]:
	"""Lock the rows to take, within the current transaction, and return them."""
	untried, retries = found.untried[:size], found.retries[:_RETRIES]
	if retries and not (untried and untried[0]["name"] < retries[0]["name"]):
		for candidate in retries:
			if rows := _lock(runtime, [candidate], set(), table):
				return rows
	return _lock(runtime, untried, set(), table) if untried else []


def _lock(runtime: Runtime, candidates: Sequence[Row], held_back: set[str], table: WorkTable) -> list[Row]:
	"""Lock candidates that are still to be had; what is behind one that is not joins `held_back`.

	They end where the payloads would be too much to have at once, and with the first one at the earliest.
	"""
	marks, names = in_list(row["name"] for row in candidates)
	columns = ", ".join(f"`{name}`" for name in table.columns)
	sql = f"""SELECT {columns}, LENGTH(`{table.body}`) AS `size` FROM `tab{table.doctype}`
		WHERE `name` IN ({marks}) AND {STATE} IN {table.waiting} ORDER BY `name`"""
	locked = {row["name"]: row for row in runtime.db.query(f"{sql} {runtime.db.row_lock}", names)}
	rows, size = [], 0
	for candidate in candidates:
		row, key = locked.get(candidate["name"]), candidate["ordering_key"]
		if row is None or key in held_back:
			held_back |= {key} if key else set()
			continue
		size += row.pop("size") or 0
		if rows and size > _MOST_BYTES:
			break
		rows.append(row)
	return _with_payloads(runtime, rows, table)


def _with_payloads(runtime: Runtime, rows: list[Row], table: WorkTable) -> list[Row]:
	marks, names = in_list(row["name"] for row in rows)
	sql = f"SELECT `name`, `{table.body}` AS `body` FROM `tab{table.doctype}` WHERE `name` IN ({marks})"
	payloads = {row["name"]: row["body"] for row in runtime.db.query(sql, names)} if rows else {}
	for row in rows:
		row[table.body] = payloads[row["name"]]
	return rows


def _without_rivals(runtime: Runtime, integration: str, rows: list[Row], table: WorkTable) -> list[Row]:
	"""Give back the rows of keys that another claimant took at the same moment: both look once they have committed."""
	keys = {row["ordering_key"] for row in rows if row["ordering_key"]}
	if not keys:
		return rows
	marks, values = in_list(keys)
	sql = f"""SELECT DISTINCT `ordering_key` FROM `tab{table.doctype}` WHERE `integration` = %s
		AND `ordering_key` IN ({marks}) AND `status` = '{table.taken}' AND `claim` <> %s"""
	found = runtime.db.query(sql, [integration, *values, rows[0]["claim"]])
	taken = {row["ordering_key"] for row in found}
	give_back(runtime, [row for row in rows if row["ordering_key"] in taken], table)
	return [row for row in rows if row["ordering_key"] not in taken]


def settle(
	runtime: Runtime,
	rows: Sequence[Row],
	attempt: Attempt | None = None,
	table: WorkTable = INBOX,
	**values: Any,
) -> bool:
	"""Write the end of an attempt, in the handler's transaction, on rows of one claim.

	attempt: what is kept of it, at each row. False if the claim of one of the rows was lost meanwhile.
	"""
	marks, names = in_list(row["name"] for row in rows)
	end = {"modified": runtime.now(), "claim": None, **values}
	sets = ", ".join(f"`{column}` = %s" for column in end)
	told = [with_attempt(row["attempts_log"], attempt) for row in rows] if attempt else []
	if len(set(told)) == 1:  # nearly always empty, as of a first attempt
		sets, told = f"{sets}, `attempts_log` = %s", told[:1]
	elif told:
		sets += f", `attempts_log` = CASE `name` {'WHEN %s THEN %s ' * len(told)}END"
		told = [part for pair in zip(names, told, strict=True) for part in pair]
	count = runtime.db.execute(
		f"""UPDATE `tab{table.doctype}` SET {sets}
			WHERE `name` IN ({marks}) AND `claim` = %s AND {STATE} = '{table.taken}'""",
		[*end.values(), *told, *names, rows[0]["claim"]],
	)
	return count == len(rows)


def give_back(runtime: Runtime, rows: Sequence[Row], table: WorkTable = INBOX) -> None:
	"""Return claimed rows that were not tried, for the next claimant; with untried ones goes what is behind them."""
	if not rows:
		return
	marks, names = in_list(row["name"] for row in rows)
	claim = rows[0]["claim"]

	def back() -> None:
		runtime.db.execute(
			f"""UPDATE `tab{table.doctype}` SET `status` = CASE WHEN `attempts` > 1 THEN 'Failed' ELSE '{table.untried}' END,
				`claim` = NULL, `attempts` = `attempts` - 1
				WHERE `claim` = %s AND {STATE} = '{table.taken}' AND `name` IN ({marks})""",
			[claim, *names],
		)
		let_on(runtime, [row for row in rows if row["attempts"] <= 1], table)

	in_transaction(runtime.db, back)


_RELEASED_AT_ONCE = 500
# Nobody has claimed anything at a time to come: a clock was ahead, and it is not said how long ago that was.
_SILENT = "(`claimed_at` < %s OR `claimed_at` IS NULL OR `claimed_at` > %s)"


def release_abandoned(
	runtime: Runtime,
	seconds: float,
	max_attempts: int,
	longest: float = LOOK_SECONDS,
	table: WorkTable = INBOX,
) -> int:
	"""Give back rows whose claimant is gone, or has been silent for `seconds`; bury them after the last attempt.

	Returns their number. Takes about `longest` seconds: the next sweep goes on.
	"""
	until, released, alive = time.monotonic() + longest, 0, 0
	sql = f"""SELECT `name`, `integration`, `claim`, `ordering_key` FROM `tab{table.doctype}`
		WHERE `status` = '{table.taken}' ORDER BY `claimed_at` LIMIT {_RELEASED_AT_ONCE}"""
	silent = [runtime.now(ahead=-seconds), runtime.now(ahead=seconds)]
	while rows := runtime.db.query(f"{sql} OFFSET {alive}"):
		count = _release(runtime, rows, max_attempts, _SILENT, silent, table)
		for (integration, slot), mine in _by_slot(rows).items():
			with runtime.lock(
				_slot_lock(table, integration, slot)
			) as free:  # and nobody takes the slot meanwhile
				if free:
					claims, values = in_list({row["claim"] for row in mine})
					count += _release(runtime, mine, max_attempts, f"`claim` IN ({claims})", values, table)
			if time.monotonic() >= until:
				break
		released += count
		alive += max(len(rows) - count, 0)
		if time.monotonic() >= until:
			break
	return released


def _by_slot(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
	found: dict[tuple[str, str], list[Row]] = {}
	for row in rows:
		slot = (row["claim"] or "").partition(":")[0]
		if slot:
			found.setdefault((row["integration"], slot), []).append(row)
	return found


def _most_attempts(table: WorkTable) -> str:
	"""Return the SQL of the attempts after which a row is Dead: its integration's own number, else the parameter."""
	if not table.attempts_setting:
		return "%s"
	own = f"""SELECT NULLIF(`tabIntegration Settings`.`{table.attempts_setting}`, 0) FROM `tabIntegration Settings`
		WHERE `tabIntegration Settings`.`name` = `tab{table.doctype}`.`integration`"""
	return f"COALESCE(({own}), %s)"


def _release(
	runtime: Runtime,
	rows: Sequence[Row],
	max_attempts: int,
	where: str,
	values: Sequence[str],
	table: WorkTable,
) -> int:
	marks, names = in_list(row["name"] for row in rows)
	now = runtime.now()
	lost = Attempt(now, None, LOST, error=table.lost).line
	log = "COALESCE(`attempts_log`, '')"
	log = f"{log} || %s" if runtime.db.dialect == "sqlite" else f"CONCAT({log}, %s)"

	def release() -> int:
		count = runtime.db.execute(
			f"""UPDATE `tab{table.doctype}` SET
				`status` = CASE WHEN `attempts` >= {_most_attempts(table)} THEN 'Dead' ELSE 'Failed' END,
				`error` = '{table.lost}', `attempts_log` = {log}, `claim` = NULL, `turn` = {MY_TURN},
				`next_attempt_at` = %s, `modified` = %s
				WHERE `name` IN ({marks}) AND {STATE} = '{table.taken}' AND {where}""",
			[max_attempts, lost, now, now, *names, *values],
		)
		if count:
			dead = f"SELECT `name` FROM `tab{table.doctype}` WHERE `name` IN ({marks}) AND {STATE} = 'Dead' AND `followed` = 1"
			buried = {row["name"] for row in runtime.db.query(dead, names)}
			let_on(runtime, [row for row in rows if row["name"] in buried], table)
		return count

	return in_transaction(runtime.db, release)
