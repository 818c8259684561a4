"""Everything that runs, and what can be done to it."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import redis
import requests
from cryptography.fernet import Fernet

from chaos import effects
from chaos.hand import Hand
from chaos.ledger import Ledger
from chaos.processes import Fell, Kept
from chaos.proxy import Proxy
from chaos.pushers import Pusher
from chaos.redis_server import RedisServer
from chaos.senders import News, Sender
from chaos.settings import chaos_toml
from chaos.source import Source, changes
from chaos.stage import Stage, environment
from integration_hub.sandbox import sender
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.sandbox.redis import free_port

LANES = 4
CONSUMERS = (("crm", "one"), ("crm", "two"), ("bus", "one"))
PROCESSES = ("receiver", "worker-1", "worker-2", *(f"consumer-{i}-{name}" for i, name in CONSUMERS))
_CALM = {"500": 0.02, "reset": 0.01, "truncate": 0.01, "garbage": 0.01, "slow": 0.01}


class Arena:
	"""The CRM, its proxies, Redis, the hub's processes and the load. Its public methods are what a plan's steps call."""

	def __init__(self, folder: Path, customers: int, seed: int):
		self.folder, self.seed = folder, seed
		self.ledger = Ledger()
		self.crm = Source(customers, seed)
		self.redis = RedisServer(folder / "redis", secrets.token_hex(8))
		self._door = free_port()
		self.ways = {
			"CRM": Proxy(int(self.crm.url.rpartition(":")[2])),
			"receiver": Proxy(self._door),
			"Redis": Proxy(self.redis.port),
		}
		self.crm.faults.slow_seconds = 0.5
		self.secrets = {
			"HUB_KEY": Fernet.generate_key().decode(),
			"CRM_CLIENT_SECRET": CLIENT_SECRET,
			"CRM_WEBHOOK_SECRET": sender.SECRET,
			"CRM_QUEUE_URL": self.redis.url(self.ways["Redis"].port),
		}
		(folder / "hub.toml").write_text(chaos_toml(f"http://127.0.0.1:{self.ways['CRM'].port}"))
		self.processes: dict[str, Kept] = {}
		self.fell: list[Fell] = []
		self.began = time.time()
		self.stage: Stage | None = None
		self._stop = threading.Event()
		self._threads: list[threading.Thread] = []
		self._hand: Hand | None = None
		self._frozen: set[str] = set()

	@contextmanager
	def open(self) -> Iterator[None]:
		"""Have CRM and Redis there for a block, and its secrets in the environment, as a hub.toml wants them."""
		before = dict(os.environ)
		os.environ.update(self.secrets)
		self.redis.start()
		try:
			with self.crm:
				yield
		finally:
			self._stop.set()
			for process in self.processes.values():
				process.kill()
			for way in self.ways.values():
				way.close()
			self.redis.stop()
			os.environ.clear()
			os.environ.update(before)

	def begin(self, stage: Stage) -> None:
		"""Start the hub's processes on a stage, and the load."""
		self.stage = stage
		effects.home = stage.home
		self.crm.faults.set(rates=_CALM)
		worker = [sys.executable, "-m", "chaos.worker", *stage.worker]
		commands = {
			"receiver": [*stage.hub, "serve", "--port", str(self._door), "--workers", "2"],
			"worker-1": worker,
			"worker-2": worker,
		}
		for integration, name in CONSUMERS:
			commands[f"consumer-{integration}-{name}"] = [*stage.hub, "consume", integration, "--name", name]
		for name, command in commands.items():
			self.processes[name] = Kept(name, command, self.folder, environment({}), stage.cwd)
			self.processes[name].start()
		self._await_receiver()
		self._hand = Hand(stage.opened)
		self._hand.start()
		self._start_load()

	def tick(self) -> None:
		"""Called all the time: starts again what fell."""
		for name, process in self.processes.items():
			if name not in self._frozen and (found := process.fell()):
				self.fell.append(found)

	def end(self) -> dict[str, int]:
		"""Undo all faults, have the load finish, ask the processes to stop; return exit codes that are not 0."""
		for name in self.processes:
			self.thaw(name)
			self.processes[name].start()
		if self.stage.database:
			self.stage.database.start()
		self.redis.start()
		for way in self.ways.values():
			way.clear()
		self.crm.faults.set()
		self.budget(0)
		self.mend_records()
		self.clock_put_right()
		self._stop.set()
		while any(thread.is_alive() for thread in self._threads):
			self.tick()
			time.sleep(0.1)
		self._hand.stop()
		codes = {name: process.stop() for name, process in self.processes.items()}
		return {name: code for name, code in codes.items() if code not in (0, effects.KILLED_BY_EVENT)}

	# What can be done to it, by name.

	def kill(self, name: str) -> None:
		self._frozen.discard(name)
		self.processes[name].kill()

	def start(self, name: str) -> None:
		self.processes[name].start()

	def freeze(self, name: str) -> None:
		if self.processes[name].running:
			self._frozen.add(name)
			self.processes[name].freeze()

	def thaw(self, name: str) -> None:
		self._frozen.discard(name)
		self.processes[name].thaw()

	def stop_redis(self, hard: bool) -> None:
		self.redis.stop(hard)

	def start_redis(self) -> None:
		self.redis.start()

	def stop_database(self, hard: bool) -> None:
		self.stage.database.stop(hard)

	def start_database(self) -> None:
		self.stage.database.start()

	def cut(self, way: str, refuse: bool) -> None:
		self.ways[way].cut(refuse)

	def slow(self, way: str, delay: float) -> None:
		self.ways[way].slow(delay)

	def hang(self, way: str) -> None:
		self.ways[way].hang()

	def clear(self, way: str) -> None:
		self.ways[way].clear()

	def storm(self, kind: str, rate: float) -> None:
		self.crm.faults.set(rates={**_CALM, kind: rate})

	def fair_weather(self) -> None:
		self.crm.faults.set(rates=_CALM)

	def budget(self, limit: int) -> None:
		self.crm.budget.limit, self.crm.budget.period = limit, 1

	def revoke_tokens(self) -> None:
		self.crm.tokens.revoke_all()

	def expire_feed(self) -> None:
		self.crm.customers.expire()

	def spoil_page(self, start: float) -> None:
		self.crm.spoil_page(start)

	def mend_records(self) -> None:
		self.crm.mend_records()

	def move_clock(self, seconds: float) -> None:
		self.crm.move_clock(seconds)

	def clock_from_the_future(self) -> None:
		self.crm.clock_from_the_future()

	def clock_put_right(self) -> None:
		self.crm.clock_put_right()

	def time_passes(self) -> None:
		self._hand.let_time_pass()

	def _await_receiver(self) -> None:
		url = f"http://127.0.0.1:{self._door}/health"
		for _ in range(300):
			try:
				requests.get(url, timeout=1)
				return
			except requests.RequestException:
				time.sleep(0.1)
		raise RuntimeError(f"The receiver did not start:\n{self.processes['receiver'].last_words()}")

	def _start_load(self) -> None:
		door = f"http://127.0.0.1:{self.ways['receiver'].port}/webhooks/crm"
		news = News(self.crm)
		self._threads = [
			Sender(lane, door, news, self.ledger, self.seed, self._stop) for lane in range(LANES)
		]
		client = redis.from_url(self.redis.url(), socket_timeout=5)
		self._threads += [
			Pusher(kind, client, self.ledger, self.seed, self._stop) for kind in ("list", "stream")
		]
		self._threads.append(threading.Thread(target=self._live, name="the CRM's own life", daemon=True))
		for thread in self._threads:
			thread.start()

	def _live(self) -> None:
		"""The CRM's customers change."""
		dice = Random(f"{self.seed} changes")
		while not self._stop.wait(dice.uniform(0.05, 0.3)):
			self.crm.change(**changes(dice))
