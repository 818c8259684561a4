"""Everything that runs, and what can be done to it."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import redis
import requests
from cryptography.fernet import Fernet

from chaos import effects
from chaos.clock import Clocks
from chaos.database_injector import DatabaseInjector, time_passes
from chaos.deployment import Command, Deployment, Endpoint, process_environment
from chaos.fault_plan import Targets
from chaos.faulty_crm import Source, changes
from chaos.ledger import Ledger
from chaos.network_path import NetworkPath
from chaos.processes import Fell, Kept
from chaos.queue_producers import Pusher
from chaos.redis_server import RedisServer
from chaos.settings import chaos_toml
from chaos.slow_connections import SlowConnectionCounts, SlowConnections
from chaos.webhook_senders import News, Post, Sender
from integration_hub.sandbox import sender
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.sandbox.redis import free_port
from integration_hub.stores.runtime import Runtime

LANES = 4
CONSUMERS = (("crm", "one"), ("crm", "two"), ("bus", "one"))
_QUIET = {"500": 0.02, "reset": 0.01, "truncate": 0.01, "garbage": 0.01, "slow": 0.01}


class Environment:
	"""The CRM, its proxies, Redis, the hub's processes and the load. Its public methods are what a plan's steps call."""

	def __init__(self, folder: Path, customers: int, seed: int):
		self.folder, self.seed = folder, seed
		self.ledger = Ledger()
		self.crm = Source(customers, seed)
		self.redis = RedisServer(folder / "redis", secrets.token_hex(8))
		self._port = free_port()
		self.network_paths = {
			"CRM": NetworkPath(int(self.crm.url.rpartition(":")[2])),
			"receiver": NetworkPath(self._port),
			"Redis": NetworkPath(self.redis.port),
		}
		self.crm.faults.slow_seconds = 0.5
		self.clocks, self.slow_connection_counts = Clocks(folder / "clocks"), SlowConnectionCounts()
		self.secrets = {
			"HUB_KEY": Fernet.generate_key().decode(),
			"CRM_CLIENT_SECRET": CLIENT_SECRET,
			"CRM_WEBHOOK_SECRET": sender.SECRET,
			"CRM_QUEUE_URL": self.redis.url(self.network_paths["Redis"].port),
		}
		(folder / "hub.toml").write_text(chaos_toml(f"http://127.0.0.1:{self.network_paths['CRM'].port}"))
		self.endpoints = [Endpoint("receiver", "/webhooks/crm", "/health")]
		self.servers = {"Redis": self.redis}
		self.processes: dict[str, Kept] = {}
		self.fell: list[Fell] = []
		self.began = time.time()
		self.deployment: Deployment | None = None
		self._stop = threading.Event()
		self._threads: list[threading.Thread] = []
		self._injector: DatabaseInjector | None = None
		self._frozen: set[str] = set()
		self._slow_connections: SlowConnections | None = None

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
			for network_path in self.network_paths.values():
				network_path.close()
			self.redis.stop()
			os.environ.clear()
			os.environ.update(before)

	@contextmanager
	def peopled(self, deployment: Deployment) -> Iterator[None]:
		"""Have the hub's processes ready for a stage, to begin within the block; after it nothing of them runs."""
		self.deployment = deployment
		effects.runtime = deployment.runtime
		self.network_paths |= deployment.network_paths
		self.servers |= deployment.servers
		self.endpoints += deployment.endpoints
		commands = {
			"receiver": Command([*deployment.hub, "serve", "--port", str(self._port), "--workers", "2"])
		}
		for integration, name in CONSUMERS:
			line = [*deployment.hub, "consume", integration, "--name", name]
			commands[f"consumer-{integration}-{name}"] = Command(line)
		for name, command in {**commands, **deployment.processes}.items():
			env = process_environment() | self.clocks.environment(name)
			self.processes[name] = Kept(name, command, self.folder, env, deployment.cwd)
		try:
			yield
		finally:
			self._stop.set()
			self.disperse()
			for process in self.processes.values():
				process.kill()
				process.end_orphans()
			for network_path in deployment.network_paths.values():
				network_path.clear()

	def targets(self) -> Targets:
		"""Return what a plan may disturb."""
		return Targets(
			processes=list(self.processes),
			workers=[name for name, process in self.processes.items() if process.command.jobs],
			network_paths=list(self.network_paths),
			servers=list(self.servers),
			disconnect=self.deployment.disconnect is not None,
			database=self.deployment.database is not None,
			clocks=self.clocks.there,
		)

	def begin(self) -> None:
		"""Start the hub's processes, and the load."""
		self.crm.faults.set(rates=_QUIET)
		for process in self.processes.values():
			process.start()
		for endpoint in self.endpoints:
			self._await(endpoint)
		self._injector = DatabaseInjector(self.deployment.opened)
		self._injector.start()
		self._start_load()

	def tick(self) -> None:
		"""Called all the time: starts again what fell."""
		for name, process in self.processes.items():
			if name not in self._frozen and (found := process.fell()):
				self.fell.append(found)

	def calm_down(self) -> None:
		"""Undo all faults, and have the load finish; the processes go on."""
		for name in self.processes:
			self.thaw(name)
			self.processes[name].start()
		if self.deployment.database:
			self.deployment.database.start()
		for name in self.servers:
			self.start_redis(name)
		for network_path in self.network_paths.values():
			network_path.clear()
		self.crm.faults.set()
		self.budget(0)
		self.mend_records()
		self.mood("")
		self.clock_put_right()
		self.clocks.put_right()
		self.disperse()
		self._stop.set()
		self._injector.leave_alone()
		while any(thread.is_alive() for thread in self._threads):
			self.tick()
			time.sleep(0.1)

	def end(self) -> dict[str, int]:
		"""Ask the processes to stop; return exit codes that should be 0 and are not."""
		self._injector.stop()
		for server in self.deployment.servers.values():
			server.write_down()
		for process in self.processes.values():
			process.ask_to_stop()  # all at once: some finish what they have in progress
		codes = {name: process.stop() for name, process in self.processes.items()}
		for process in self.processes.values():
			process.end_orphans()
		return {
			name: code
			for name, code in codes.items()
			if self.processes[name].command.ours and code not in (0, effects.KILLED_BY_EVENT)
		}

	# What can be done to it, by name.

	def kill(self, name: str) -> None:
		self._frozen.discard(name)
		self.processes[name].kill()

	def kill_alone(self, name: str) -> None:
		self._frozen.discard(name)
		self.processes[name].kill_alone()

	def kill_job(self, name: str) -> None:
		self.processes[name].kill_job()

	def start(self, name: str) -> None:
		self.processes[name].start()

	def freeze(self, name: str) -> None:
		if self.processes[name].running:
			self._frozen.add(name)
			self.processes[name].freeze()

	def thaw(self, name: str) -> None:
		self._frozen.discard(name)
		self.processes[name].thaw()

	def stop_redis(self, name: str, hard: bool) -> None:
		self.servers[name].stop(hard)

	def start_redis(self, name: str) -> None:
		self.servers[name].start()

	def stop_database(self, hard: bool) -> None:
		self.deployment.database.stop(hard)

	def start_database(self) -> None:
		self.deployment.database.start()

	def cut(self, network_path: str, refuse: bool) -> None:
		self.network_paths[network_path].cut(refuse)

	def slow(self, network_path: str, delay: float) -> None:
		self.network_paths[network_path].slow(delay)

	def hang(self, network_path: str) -> None:
		self.network_paths[network_path].hang()

	def clear(self, network_path: str) -> None:
		self.network_paths[network_path].clear()

	def storm(self, kind: str, rate: float) -> None:
		self.crm.faults.set(rates={**_QUIET, kind: rate})

	def fair_weather(self) -> None:
		self.crm.faults.set(rates=_QUIET)

	def budget(self, limit: int) -> None:
		self.crm.budget.limit, self.crm.budget.period = limit, 1

	def revoke_tokens(self) -> None:
		self.crm.tokens.revoke_all()

	def expire_feed(self) -> None:
		self.crm.customers.expire()

	def mood(self, mood: str) -> None:
		self.crm.be(mood)

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

	def crowd(self, count: int) -> None:
		if not self._slow_connections:
			self._slow_connections = SlowConnections(
				self._port, count, self.slow_connection_counts, self._receiver_undisturbed
			)

	def disperse(self) -> None:
		if self._slow_connections:
			self._slow_connections.disperse()
			self._slow_connections = None

	def jump(self, names: Sequence[str], seconds: int) -> None:
		self.clocks.jump(names, seconds)

	def time_passes(self) -> None:
		self.do(time_passes)
		self.do(lambda _: self.deployment.elapse())

	def disconnect(self) -> None:
		self.do(self.deployment.disconnect)

	def do(self, work: Callable[[Runtime], None]) -> None:
		"""Have something done to the hub's database, soon."""
		self._injector.do(work)

	def _receiver_undisturbed(self) -> object:
		receiver = self.processes["receiver"]
		return receiver.starts if receiver.running and "receiver" not in self._frozen else None

	def _await(self, endpoint: Endpoint) -> None:
		for _ in range(600):
			try:
				requests.get(self._url(endpoint, endpoint.probe), headers=endpoint.headers, timeout=2)
				return
			except requests.RequestException:
				time.sleep(0.1)
		raise RuntimeError(
			f"The {endpoint.network_path} did not start:\n{self.processes[endpoint.network_path].last_words()}"
		)

	def _url(self, endpoint: Endpoint, path: str) -> str:
		return f"http://127.0.0.1:{self.network_paths[endpoint.network_path].port}{path}"

	def _start_load(self) -> None:
		news = News(self.crm)
		for lane in range(LANES):
			endpoint = self.endpoints[lane % len(self.endpoints)]
			post = Post(self._url(endpoint, endpoint.path), endpoint.headers)
			self._threads.append(
				Sender(lane, post, news, self.ledger, self.seed, self._stop, self.deployment.pace)
			)
		client = redis.from_url(self.redis.url(), socket_timeout=5)
		self._threads += [
			Pusher(kind, client, self.ledger, self.seed, self._stop, self.deployment.pace)
			for kind in ("list", "stream")
		]
		self._threads.append(threading.Thread(target=self._live, name="the CRM's own life", daemon=True))
		for thread in self._threads:
			thread.start()

	def _live(self) -> None:
		"""The CRM's customers change."""
		dice = Random(f"{self.seed} changes")
		while not self._stop.wait(dice.uniform(0.05, 0.3) * self.deployment.pace):
			self.crm.change(**changes(dice))
