"""The plan of faults: each fault with its time, drawn from a seed. The same seed gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from integration_hub.sandbox.list_quirks import MOODS

CALM = 2.0  # seconds at the beginning in which everything may start
_PAUSES = (0.4, 1.6)  # between one fault and the next
JUMPS = (2, 5, 26)  # hours by which a clock of the hub is ahead
SLOW = 200  # connections at a time that send a byte now and then


@dataclass(frozen=True)
class Step:
	"""One thing to do to the environment at a time. `action` names a method of it; `does` says it in words."""

	at: float
	action: str
	arguments: tuple = ()
	does: str = ""  # "" for the end of a fault, which is told with its beginning


@dataclass(frozen=True)
class Targets:
	"""What there is to be disturbed.

	processes: who may be killed; workers: those whose jobs are processes of their own. ways: what may be cut.
	servers: the Redis servers. disconnect: are there database connections to cut at the server? database: may
	it be stopped? clocks: may those of the processes jump?
	"""

	processes: Sequence[str]
	workers: Sequence[str] = ()
	network_paths: Sequence[str] = ("CRM", "receiver", "Redis")
	servers: Sequence[str] = ("Redis",)
	disconnect: bool = False
	database: bool = False
	clocks: bool = False


Draw = Callable[[random.Random, float, Targets], Iterator[Step]]


def schedule(seed: int, seconds: float, targets: Targets) -> list[Step]:
	"""Return the steps of a run, by time."""
	dice = random.Random(seed)
	kinds = dict(_KINDS)
	kinds |= {_kill_job: 5, _kill_watcher: 3} if targets.workers else {}
	kinds |= {_disconnect: 3} if targets.disconnect else {}
	kinds |= {_database: 3} if targets.database else {}
	kinds |= {_jump: 3} if targets.clocks else {}
	steps: list[Step] = []
	for kind in (_slow_connections, _jump)[: 1 + targets.clocks]:  # each run meets them, however short it is
		steps += kind(dice, dice.uniform(CALM, max(seconds / 2, CALM)), targets)
	at = CALM
	while at < seconds:
		[kind] = dice.choices(list(kinds), list(kinds.values()))
		steps += kind(dice, at, targets)
		at += dice.uniform(*_PAUSES)
	return sorted((step for step in steps if step.at < seconds), key=lambda step: step.at)


def _kill(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	name = dice.choice(targets.processes)
	yield Step(at, "kill", (name,), f"kill {name}")
	yield Step(at + dice.uniform(0, 1), "start", (name,))


def _kill_job(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	name = dice.choice(targets.workers)
	yield Step(at, "kill_job", (name,), f"kill the job of {name}")


def _kill_watcher(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	name = dice.choice(targets.workers)
	yield Step(at, "kill_alone", (name,), f"kill {name}, and let its job go on")
	yield Step(at + dice.uniform(0, 1), "start", (name,))


def _freeze(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	name, seconds = dice.choice(targets.processes), dice.uniform(0.5, 3)
	yield Step(at, "freeze", (name,), f"freeze {name} for {seconds:.1f} s")
	yield Step(at + seconds, "thaw", (name,))


def _redis(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	seconds, hard, name = dice.uniform(0.3, 3), dice.random() < 0.5, dice.choice(targets.servers)
	yield Step(at, "stop_redis", (name, hard), f"{'kill' if hard else 'stop'} {name} for {seconds:.1f} s")
	yield Step(at + seconds, "start_redis", (name,))


def _disconnect(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	yield Step(at, "disconnect", (), "the database kills all connections")


def _database(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	seconds, hard = dice.uniform(0.5, 3), dice.random() < 0.5
	yield Step(at, "stop_database", (hard,), f"{'kill' if hard else 'stop'} MariaDB for {seconds:.1f} s")
	yield Step(at + seconds, "start_database")


def _cut(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	network_path, seconds = dice.choice(targets.network_paths), dice.choice((0.0, dice.uniform(0.2, 2)))
	yield Step(
		at, "cut", (network_path, bool(seconds)), f"cut all connections to the {network_path}{_for(seconds)}"
	)
	yield Step(at + seconds, "clear", (network_path,))


def _slow(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	network_path, seconds, delay = (
		dice.choice(targets.network_paths),
		dice.uniform(1, 4),
		dice.choice((0.02, 0.2)),
	)
	yield Step(
		at,
		"slow",
		(network_path, delay),
		f"slow the {network_path} by {delay * 1000:.0f} ms a packet, for {seconds:.1f} s",
	)
	yield Step(at + seconds, "clear", (network_path,))


def _hang(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	network_path, seconds = dice.choice(targets.network_paths), dice.uniform(1, 4)
	yield Step(at, "hang", (network_path,), f"let the {network_path} fall silent for {seconds:.1f} s")
	yield Step(at + seconds, "clear", (network_path,))


def _storm(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	kind, rate, seconds = (
		dice.choice(("500", "503", "reset", "truncate", "garbage")),
		dice.uniform(0.3, 1),
		dice.uniform(1, 4),
	)
	yield Step(
		at, "storm", (kind, rate), f"{rate:.0%} of the CRM's answers are «{kind}», for {seconds:.1f} s"
	)
	yield Step(at + seconds, "fair_weather")


def _squeeze(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	limit, seconds = dice.randint(2, 10), dice.uniform(1, 4)
	yield Step(
		at, "budget", (limit,), f"the CRM takes no more than {limit} requests a second, for {seconds:.1f} s"
	)
	yield Step(at + seconds, "budget", (0,))


def _revoke(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	yield Step(at, "revoke_tokens", (), "the CRM revokes all tokens")


def _expire(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	yield Step(at, "expire_feed", (), "the CRM forgets its change feed: cursors expire")


def _spoil(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	start, seconds = dice.random(), dice.uniform(2, 8)
	yield Step(at, "spoil_page", (start,), f"a page of the CRM's records is bad, for {seconds:.1f} s")
	yield Step(at + seconds, "mend_records")


def _mood(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	mood, seconds = dice.choice(sorted(MOODS)), dice.uniform(2, 6)
	yield Step(
		at, "mood", (mood,), f"the CRM's list of customers is in the mood «{mood}», for {seconds:.1f} s"
	)
	yield Step(at + seconds, "mood", ("",))


def _clock(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	hours = dice.choice((1, 24))
	yield Step(at, "move_clock", (hours * 3600,), f"the CRM's clock jumps ahead by {hours} h")


def _clock_back(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	seconds = dice.randint(1, 20)
	yield Step(at, "move_clock", (-seconds,), f"the CRM's clock goes back by {seconds} s")


def _wrong_clock(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	seconds = dice.uniform(1, 3)
	yield Step(at, "clock_from_the_future", (), f"the CRM's clock is days in the future, for {seconds:.1f} s")
	yield Step(at + seconds, "clock_put_right")


def _slow_connections(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	seconds = dice.uniform(5, 20)  # a body has ten
	yield Step(at, "crowd", (SLOW,), f"{SLOW} slow connections to the receiver, for {seconds:.1f} s")
	yield Step(at + seconds, "disperse")


def _jump(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	hours, seconds = dice.choice(JUMPS), dice.uniform(2, 8)
	alone = dice.choice(targets.processes)
	names, whose = dice.choice(((tuple(targets.processes), "all processes"), ((alone,), alone)))
	yield Step(
		at, "jump", (names, hours * 3600), f"the clock of {whose} is ahead by {hours} h, for {seconds:.1f} s"
	)
	yield Step(at + seconds, "jump", (names, 0))


def _time_passes(dice: random.Random, at: float, targets: Targets) -> Iterator[Step]:
	yield Step(at, "time_passes", (), "a quarter of an hour passes: claims run out, retries are due")


_KINDS: dict[Draw, int] = {
	_kill: 12,
	_freeze: 4,
	_redis: 3,
	_cut: 5,
	_slow: 3,
	_hang: 2,
	_storm: 3,
	_squeeze: 2,
	_revoke: 1,
	_expire: 2,
	_spoil: 3,
	_mood: 4,
	_clock: 1,
	_clock_back: 2,
	_wrong_clock: 1,
	_slow_connections: 2,
	_time_passes: 4,
}


def _for(seconds: float) -> str:
	return f", and let none through for {seconds:.1f} s" if seconds else ""
