"""Taking events of the inbox to handle them: each row belongs to one claimant at a time.

Rows that share an ordering key are handled one at a time, in the order they arrived in (their names sort by
it), however many claimants there are; other keys go on meanwhile. A row is held back while

- another row of its key is being handled, or
- an earlier one is still to be handled or waits for its retry, and is not taken together with it.

A row whose handler asked to come back later has given up its place: it holds nobody back.

Queued is what was not tried yet, Failed what was, and is to be tried again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from integration_hub.stores.database import Row, in_list, in_transaction
from integration_hub.stores.home import Home
from integration_hub.stores.ids import new_id
from integration_hub.stores.inbox import DOCTYPE, WAITING
from integration_hub.stores.ordering import BEHIND_RETRY, BEHIND_UNTRIED, IN_HAND, held_keys, none_of

SEATS = 32  # drains of one integration at the same time, on all hosts
_RETRIES = 20  # how many are tried for one that nobody else has locked
_WINDOWS = 5  # how many batches of candidates are looked through for one that nobody else has locked

_MOST_BYTES = 8_000_000  # of the payloads of one claim, which are all in memory; a single one may be larger

# What handling needs of a row, beside its payload.
_COLUMNS = [
	"name",
	"integration",
	"event_type",
	"event_id",
	"ordering_key",
	"attempts",
	"deferrals",
	"event_time",
	"unsigned",
]

_DUE = "`w`.`next_attempt_at` <= %(now)s"
# An untried row that has not been put off is due whatever the clocks of two hosts say: order does not hang on them.
_UNTRIED = f"`w`.`status` = 'Queued' AND ({_DUE} OR `w`.`deferrals` = 0)"
_TRIED = f"`w`.`status` = 'Failed' AND {_DUE}"


@contextmanager
def seat(home: Home, integration: str) -> Iterator[str]:
	"""Hold one of an integration's seats for a block, and have its name; "" if all are taken.

	A seat is a lock that dies with its owner: who finds it free knows that what was claimed from it is nobody's.
	"""
	with ExitStack() as stack:
		for number in range(SEATS):
			if stack.enter_context(home.lock(_seat_lock(integration, str(number)))):
				yield str(number)
				return
			stack.close()
		yield ""


def _seat_lock(integration: str, seat: str) -> str:
	return f"drain:{integration}:{seat}"


def claim_due(home: Home, integration: str, size: int, seat: str = "") -> list[Row]:
	"""Take up to `size` due rows, oldest first; each belongs to one claimant. Commits. Not within a transaction.

	The attempt is counted here, before anything can go wrong: an event that kills its worker is counted too.
	A row that was tried before is taken alone, so that it takes no other with it.

	seat: the one that the claimant holds.
	"""
	claim, now = f"{seat}:{new_id()}", home.now()

	def take() -> list[Row]:
		rows = _lock_some(home, integration, size)
		marks, names = in_list(row["name"] for row in rows)
		if rows:
			home.db.execute(
				f"""UPDATE `tab{DOCTYPE}` SET `status` = 'Processing', `claim` = %s, `claimed_at` = %s,
					`attempts` = `attempts` + 1 WHERE `name` IN ({marks})""",
				[claim, now, *names],
			)
		return rows

	rows = in_transaction(home.db, take)
	for row in rows:
		row.update(claim=claim, attempts=row["attempts"] + 1)
	return _without_rivals(home, integration, rows)


def _lock_some(home: Home, integration: str, size: int) -> list[Row]:
	"""Lock the rows to take, within the current transaction, and return them."""
	held = held_keys(home, integration)
	untried = _untried(home, integration, held, size)
	retries = _candidates(home, integration, _TRIED, [IN_HAND, BEHIND_RETRY, BEHIND_UNTRIED], _RETRIES)
	if retries and not (untried and untried[0]["name"] < retries[0]["name"]):
		for candidate in retries:
			if rows := _lock(home, [candidate], set()):
				return rows
	held_back: set[str] = set()
	for _ in range(_WINDOWS):
		if not untried:
			return []
		if rows := _lock(home, untried, held_back):
			return rows
		untried = _untried(home, integration, held, size, untried[-1]["name"])
	return []


def _untried(home: Home, integration: str, held: Sequence[str], size: int, after: str = "") -> list[Row]:
	# Of keys that are held back whole, no row is looked at.
	free, values = none_of(held)
	which = f"{_UNTRIED} AND {free}"
	if after:
		which, values = f"{which} AND `w`.`name` > %(after)s", {**values, "after": after}
	# Earlier untried rows hold nobody back here: they are candidates of the same batch, before it.
	return _candidates(home, integration, which, [IN_HAND, BEHIND_RETRY], size, **values)


def _candidates(
	home: Home, integration: str, which: str, held_back: Sequence[str], size: int, **values: str
) -> list[Row]:
	free = " AND ".join(f"NOT {condition}" for condition in held_back)
	# For the sake of the order MariaDB would read the whole inbox, what is completed too, and no index of what waits.
	hint = "IGNORE INDEX (PRIMARY)" if home.db.dialect == "mariadb" else ""
	sql = f"""SELECT `w`.`name`, `w`.`ordering_key` FROM `tab{DOCTYPE}` `w` {hint}
		WHERE `w`.`integration` = %(integration)s AND {which}
		AND (COALESCE(`w`.`ordering_key`, '') = '' OR ({free})) ORDER BY `w`.`name` LIMIT {int(size)}"""
	return home.db.query(sql, {"integration": integration, "now": home.now(), **values})


def _lock(home: Home, candidates: Sequence[Row], held_back: set[str]) -> list[Row]:
	"""Lock candidates that are still to be had; what is behind one that is not joins `held_back`.

	They end where the payloads would be too much to have at once, and with the first one at the earliest.
	"""
	marks, names = in_list(row["name"] for row in candidates)
	columns = ", ".join(f"`{name}`" for name in _COLUMNS)
	sql = f"""SELECT {columns}, LENGTH(`payload`) AS `size` FROM `tab{DOCTYPE}`
		WHERE `name` IN ({marks}) AND `status` IN {WAITING} ORDER BY `name`"""
	locked = {row["name"]: row for row in home.db.query(f"{sql} {home.db.row_lock}", names)}
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
	return _with_payloads(home, rows)


def _with_payloads(home: Home, rows: list[Row]) -> list[Row]:
	marks, names = in_list(row["name"] for row in rows)
	sql = f"SELECT `name`, `payload` FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})"
	payloads = {row["name"]: row["payload"] for row in home.db.query(sql, names)} if rows else {}
	for row in rows:
		row["payload"] = payloads[row["name"]]
	return rows


def _without_rivals(home: Home, integration: str, rows: list[Row]) -> list[Row]:
	"""Give back the rows of keys that another claimant took at the same moment: both look once they have committed."""
	keys = {row["ordering_key"] for row in rows if row["ordering_key"]}
	if not keys:
		return rows
	marks, values = in_list(keys)
	sql = f"""SELECT DISTINCT `ordering_key` FROM `tab{DOCTYPE}` WHERE `integration` = %s
		AND `ordering_key` IN ({marks}) AND `status` = 'Processing' AND `claim` <> %s"""
	found = home.db.query(sql, [integration, *values, rows[0]["claim"]])
	taken = {row["ordering_key"] for row in found}
	give_back(home, [row for row in rows if row["ordering_key"] in taken])
	return [row for row in rows if row["ordering_key"] not in taken]


def settle(home: Home, rows: Sequence[Row], **values: Any) -> bool:
	"""Write the end of an attempt, in the handler's transaction, on rows of one claim.

	False if the claim of one of them was lost meanwhile.
	"""
	marks, names = in_list(row["name"] for row in rows)
	end = {"modified": home.now(), "claim": None, **values}
	sets = ", ".join(f"`{column}` = %s" for column in end)
	count = home.db.execute(
		f"""UPDATE `tab{DOCTYPE}` SET {sets}
			WHERE `name` IN ({marks}) AND `claim` = %s AND `status` = 'Processing'""",
		[*end.values(), *names, rows[0]["claim"]],
	)
	return count == len(rows)


def give_back(home: Home, rows: Sequence[Row]) -> None:
	"""Return claimed rows that were not tried, for the next claimant."""
	if not rows:
		return
	marks, names = in_list(row["name"] for row in rows)
	claim = rows[0]["claim"]

	def back() -> None:
		home.db.execute(
			f"""UPDATE `tab{DOCTYPE}` SET `status` = CASE WHEN `attempts` > 1 THEN 'Failed' ELSE 'Queued' END,
				`claim` = NULL, `attempts` = `attempts` - 1
				WHERE `claim` = %s AND `status` = 'Processing' AND `name` IN ({marks})""",
			[claim, *names],
		)

	in_transaction(home.db, back)


def release_abandoned(home: Home, seconds: float, max_attempts: int) -> int:
	"""Give back rows whose claimant is gone, or has been silent for `seconds`; bury them after the last attempt.

	Returns their number.
	"""
	sql = f"SELECT DISTINCT `integration`, `claim` FROM `tab{DOCTYPE}` WHERE `status` = 'Processing'"
	held: dict[tuple[str, str], list[str]] = defaultdict(list)
	for row in home.db.query(sql):
		held[row["integration"], (row["claim"] or "").partition(":")[0]].append(row["claim"])
	released = _release(home, "`claimed_at` < %s", [home.now(ahead=-seconds)], max_attempts)
	for (integration, seat), claimed in held.items():
		if not seat:
			continue
		with home.lock(_seat_lock(integration, seat)) as free:  # and nobody sits down meanwhile
			if free:
				marks, values = in_list(claimed)
				released += _release(home, f"`claim` IN ({marks})", values, max_attempts)
	return released


def _release(home: Home, where: str, values: Sequence[str], max_attempts: int) -> int:
	sql = f"SELECT `name` FROM `tab{DOCTYPE}` WHERE `status` = 'Processing' AND {where}"
	names = [row["name"] for row in home.db.query(sql, values)]
	marks, listed = in_list(names)

	def release() -> int:
		return home.db.execute(
			f"""UPDATE `tab{DOCTYPE}` SET
				`status` = CASE WHEN `attempts` >= %s THEN 'Dead' ELSE 'Failed' END,
				`error` = 'The worker that handled it is gone.', `claim` = NULL,
				`next_attempt_at` = %s, `modified` = %s
				WHERE `name` IN ({marks}) AND `status` = 'Processing' AND {where}""",
			[max_attempts, home.now(), home.now(), *listed, *values],
		)

	return in_transaction(home.db, release) if names else 0
