"""Everything compared with everything: what was sent, what is in the inbox, what was done, what the source has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from chaos import effects
from chaos.database_injector import hours_ahead
from chaos.environment import Environment
from chaos.fault_plan import JUMPS
from chaos.recovery import Settled
from chaos.settings import GROUP, LIST, STREAM
from integration_hub.queues.redis_servers import tagged
from integration_hub.sandbox.example import FIELDS, TABLES
from integration_hub.stores.ids import first_id
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.times import parse_time, utc_text

_SHOWN = 3
_AT_ONCE = timedelta(seconds=10)  # within which a binding and its document are made, on a slow machine


@dataclass(frozen=True)
class Verdict:
	"""One line of the comparison."""

	what: str
	found: str
	right: bool


def verdicts(environment: Environment, settled: Settled, codes: dict[str, int]) -> Iterator[Verdict]:
	"""Compare; the runtime's database is not written to any more."""
	runtime = environment.deployment.runtime
	with runtime.db.transaction():  # what is committed now
		yield from _processes(environment, codes)
		yield _crowds(environment)
		yield _clocks(environment, runtime)
		yield from _inbox(environment, runtime, settled)
		yield from _effects(environment, runtime)
		yield from _records(environment, runtime, settled)
	yield from _queues(environment)


def _processes(environment: Environment, codes: dict[str, int]) -> Iterator[Verdict]:
	surprises = environment.ledger.surprises
	yield Verdict("Answers to senders", _few(surprises) or "all as they should be", not surprises)
	fell = [f"{one.name} ended with {one.code}" for one in environment.fell]
	fell += [f"{name}, asked to stop, ended with {code}" for name, code in codes.items()]
	yield Verdict("Processes that ended by themselves", _few(fell) or "none", not fell)


def _crowds(environment: Environment) -> Verdict:
	met = environment.slow_connection_counts
	answers = ", ".join(f"{count:,} {word}" for word, count in sorted(met.answers.items()))
	text = f"{met.opened:,} opened ({answers or 'none answered'}); /health answered {met.healthy:,} times meanwhile"
	if met.healthy:
		text += f", within {met.longest:.1f} s at most"
	if met.silent:
		text += f", and not {len(met.silent):,} times: {_few(met.silent)}"
	return Verdict("Slow connections", text, not met.silent)


def _clocks(environment: Environment, runtime: Runtime) -> Verdict:
	if not environment.clocks.there:
		return Verdict("The hub's clock", "was right: without a C compiler, none can be ahead", True)
	left = [f"{count:,} {what}" for what, count in hours_ahead(runtime).items() if count]
	text = f"was ahead by up to {environment.clocks.farthest // 3600} h; {'; '.join(left) or 'nothing waits for hours'}"
	return Verdict("The hub's clock", text, not left)


def _came_too_late(runtime: Runtime, record: str, time: str) -> bool:
	"""Tell whether something newer of a record is known: then an event that nobody could have written is none."""
	sql = """SELECT `source_time` FROM `tabExternal Record` WHERE `external_id` = %s
		AND `stream` IN (SELECT `stream` FROM `tabWebhook Route` WHERE `event_pattern` = 'customer.*')"""
	return any(
		(row["source_time"] or "") > utc_text(parse_time(time)) for row in runtime.db.query(sql, [record])
	)


def _inbox(environment: Environment, runtime: Runtime, settled: Settled) -> Iterator[Verdict]:
	ledger = environment.ledger
	rows = runtime.db.query(
		"SELECT `integration`, `event_id`, `status`, `door`, `event_type` FROM `tabWebhook Log`"
	)
	held = {
		"Conflict": {row["event_id"] for row in rows if row["status"] == "Conflict"},
		"Unrouted": {row["event_id"] for row in rows if row["status"] == "Unrouted"},
	}
	completed = {row["event_id"] for row in rows if row["status"] == "Completed"}
	states = Counter(row["status"] for row in rows)
	yield Verdict(
		"Inbox",
		", ".join(f"{count:,} {state}" for state, count in sorted(states.items())),
		not settled.waiting and set(states) <= {"Completed", "Conflict", "Unrouted", "Dead"},
	)
	dead = {row["event_id"] for row in rows if row["status"] == "Dead"}
	hidden = {
		name
		for name in ledger.bad_news.keys() - dead
		if name not in completed or not _came_too_late(runtime, *ledger.bad_news[name])
	}
	yield _same("News that nobody can write, not kept as Dead, and not too late", hidden)
	yield _same("Other events that are Dead", dead - ledger.bad_news.keys())
	yield _same("News of changes, acknowledged, and lost", ledger.news - completed)
	yield _same("Unrouted events, acknowledged, and lost", ledger.unrouted - held["Unrouted"])
	yield _same("Contradictions, and not held as Conflict", ledger.conflicts - held["Conflict"])
	taken = {row["event_id"] for row in rows}
	yield _same("Forged events that got in", ledger.forged & taken)
	twice = [
		id
		for id, count in Counter(
			(row["integration"], row["event_id"]) for row in rows if row["status"] != "Conflict"
		).items()
		if count > 1
	]
	yield _same("Events with two rows", twice)


def _effects(environment: Environment, runtime: Runtime) -> Iterator[Verdict]:
	rows = runtime.db.query(f"SELECT `mark`, `place`, `number` FROM `{effects.TABLE}` ORDER BY `seq`")
	lanes = _by_clock(environment, runtime, rows)
	found = Counter(row["mark"] for row in rows)
	ledger = environment.ledger
	yield Verdict(
		"Effects",
		f"{len(found):,} of {len(ledger.confirmed):,} events and messages confirmed to their senders",
		True,
	)
	yield _same("Confirmed, and without effect", ledger.confirmed - found.keys())
	yield _same("Handled more than once", [mark for mark, count in found.items() if count > 1])
	yield _same("Effects of what nobody has sent", found.keys() - ledger.sent)
	yield _same("Effects out of order, of the same key", list(_out_of_order(runtime, lanes)))


def _by_clock(environment: Environment, runtime: Runtime, rows: list[dict]) -> list[dict]:
	"""Return effects whose place is that of their key and of the hours by which the receiver's clock was ahead.

	The order in which events came is that of the receiver's clock; what came before this went back stands behind.
	"""
	received = runtime.db.query(
		"SELECT `event_id`, `name` FROM `tabWebhook Log` WHERE `status` <> 'Conflict'"
	)
	names = {row["event_id"]: row["name"] for row in received}

	def hours(mark: str) -> int:
		return max(
			h for h in (0, *JUMPS) if not h or names.get(mark, "") >= first_id(environment.began + h * 3600)
		)

	return [{**row, "place": row["place"] and f"{row['place']} +{hours(row['mark'])}"} for row in rows]


def _out_of_order(runtime: Runtime, rows: list[dict]) -> Iterator[str]:
	"""What deferred has given up its place, and what was dead, or was called back to life, has lost it."""
	excused = runtime.db.query(
		"SELECT `event_id` FROM `tabWebhook Log` WHERE `deferrals` > 0 OR `name` IN (SELECT `name` FROM `tabWebhook Log` WHERE `status` = 'Dead')"
	)
	excused_ids = {row["event_id"] for row in excused}
	last: dict[str, int] = {}
	for row in rows:
		if not row["place"] or row["mark"] in excused_ids:
			continue
		if row["number"] < last.get(row["place"], 0):
			yield row["mark"]
		last[row["place"]] = row["number"]


def _records(environment: Environment, runtime: Runtime, settled: Settled) -> Iterator[Verdict]:
	expected = {
		row["id"]: {**{ours: row[theirs] for ours, theirs in FIELDS.items()}, "active": int(row["active"])}
		for row in environment.crm.customers.alive()
	}
	columns = ", ".join(f"`{name}`" for name in FIELDS)
	for kind, table in TABLES.items():
		rows = runtime.db.query(f"SELECT {columns} FROM `tab{table}`")
		found = {row["customer_id"]: row for row in rows}
		missing = sum(id not in found for id in expected)
		different = sum(id in found and found[id] != row for id, row in expected.items())
		surplus = len(rows) - len(expected.keys() & found.keys())
		text = f"{len(rows):,} records: {missing} missing, {different} different, {surplus} too many"
		if problem := settled.runs.get(f"customers-{kind}"):
			text = f"its last run {problem}; {text}"
		yield Verdict(
			f"{table} = source",
			text,
			not (missing or different or surplus or f"customers-{kind}" in settled.runs),
		)
		bound = runtime.db.query(
			"SELECT COUNT(*) AS `n` FROM `tabExternal Record` WHERE `stream` = %s AND `status` = 'Bound'",
			[f"customers-{kind}"],
		)[0]["n"]
		if bound != len(expected):
			yield Verdict(f"Bindings of customers-{kind}", f"{bound:,}, not {len(expected):,}", False)
	yield _same(
		"Customers that live, and whose document had gone for a while",
		_made_again(environment, runtime, expected),
	)
	runs = runtime.db.query("SELECT `status`, COUNT(*) AS `n` FROM `tabSync Log` GROUP BY `status`")
	states = {row["status"]: row["n"] for row in runs}
	text = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
	yield Verdict("Runs", text, not states.keys() & {"Running", "Needs Approval"})


def _made_again(environment: Environment, runtime: Runtime, living: dict[str, dict]) -> list[str]:
	"""Return the customers whose document is younger than its binding: it was removed while they lived, and made again.

	A record that failed first is bound before it has a document; and between the two a clock may have jumped.
	"""
	rows = runtime.db.query(
		f"""SELECT b.`external_id`, b.`creation` AS `bound`, d.`creation` AS `made`
			FROM `tabExternal Record` b JOIN `tab{TABLES["full"]}` d ON d.`name` = b.`target_name`
			WHERE b.`stream` = 'customers-full' AND b.`status` = 'Bound'"""
	)
	return [
		row["external_id"]
		for row in rows
		if row["external_id"] in living
		and row["external_id"] not in environment.crm.ever_spoilt
		and _later(_time(row["made"]) - _time(row["bound"]))
	]


def _later(after: timedelta) -> bool:
	"""Tell whether a time is later than another one, by more than a clock that jumped between the two."""
	jumped = any(abs(after - timedelta(hours=hours)) < _AT_ONCE for hours in JUMPS)
	return after > _AT_ONCE and not jumped


def _time(value: object) -> datetime:
	return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def _queues(environment: Environment) -> Iterator[Verdict]:
	left, pending = left_on_queues(environment)
	with redis.from_url(environment.redis.url()) as client:
		dead = [
			json.loads(letter)["message"]
			for name in (LIST, STREAM)
			for letter in client.lrange(f"{tagged(name)}:dead", 0, -1)
		]
	yield Verdict(
		"Left on the queues", f"{left} on the list, {pending} pending in the stream", not (left or pending)
	)
	garbage = {body.decode("utf-8", "backslashreplace") for body in environment.ledger.garbage}
	text = f"{len(dead):,} for {len(garbage):,} unreadable messages that Redis confirmed"
	yield Verdict("Dead letters", text, garbage <= set(dead) and len(dead) == len(set(dead)))


def left_on_queues(environment: Environment) -> tuple[int, int]:
	"""Return how many messages are on the list, or in somebody's hand, and how many are pending in the stream."""
	with redis.from_url(environment.redis.url()) as client:
		left = client.llen(LIST) + sum(
			client.llen(key) for key in client.scan_iter(f"{tagged(LIST)}:processing:*")
		)
		left += sum(client.llen(key) for key in client.scan_iter(f"{tagged(LIST)}:arrived:*"))
		return left, client.xpending(STREAM, GROUP)["pending"]


def _same(what: str, wrong: object) -> Verdict:
	"""Return the verdict on what should be empty."""
	names = sorted(wrong) if isinstance(wrong, set | list) else list(wrong)
	return Verdict(
		what, f"{len(names):,}: {_few([str(name) for name in names])}" if names else "none", not names
	)


def _few(texts: list[str]) -> str:
	more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
	return "; ".join(texts[:_SHOWN]) + more
