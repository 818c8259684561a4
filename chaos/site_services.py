"""The services a site needs, the run's own where possible: both Redis servers of a bench, and the way to the database.

A process takes them from its environment instead of the bench's configuration.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import frappe
import redis

from chaos.network_path import NetworkPath
from chaos.redis_server import RedisServer
from integration_hub.sandbox.redis import free_port

_REDIS = {"job Redis": "FRAPPE_REDIS_QUEUE", "cache Redis": "FRAPPE_REDIS_CACHE"}
_HERE = ("127.0.0.1", "localhost")
_LONG_AGO = "2020-01-01T00:00:00.000000Z"


class SiteServices:
	"""Two Redis servers that forget, as a bench's do, and a proxy before each server.

	ways: the proxies by name, that to the site's web server among them. servers: the Redis servers by name.
	"""

	def __init__(self, site: str, folder: Path):
		self._site, self.web_port = site, free_port()
		self.servers = {
			name: RedisServer(folder / name.replace(" ", "-"), secrets.token_hex(8), keeps=False)
			for name in _REDIS
		}
		self.network_paths = {name: NetworkPath(server.port) for name, server in self.servers.items()}
		self.network_paths["web"] = NetworkPath(self.web_port)

	@contextmanager
	def open(self) -> Iterator[SiteServices]:
		"""Have them there for a block, and in the environment. Not within frappe.init."""
		for name, server in self.servers.items():
			server.start()
			os.environ[_REDIS[name]] = server.url(self.network_paths[name].port)
		if port := self._database_port():
			self.network_paths["database"] = NetworkPath(port)
			os.environ |= {
				"FRAPPE_DB_HOST": _HERE[0],
				"FRAPPE_DB_PORT": str(self.network_paths["database"].port),
			}
		try:
			yield self
		finally:
			for network_path in self.network_paths.values():
				network_path.close()
			for server in self.servers.values():
				server.stop()

	def elapse(self) -> None:
		"""Let RQ's jobs have been silent for long: those that a worker is at speak up within a second."""
		with redis.from_url(self.servers["job Redis"].url()) as client:
			for key in client.scan_iter("rq:job:*"):
				if client.type(key) == b"hash":
					client.hset(key, mapping={"last_heartbeat": _LONG_AGO, "enqueued_at": _LONG_AGO})

	def _database_port(self) -> int:
		"""Return the port of the site's database server, 0 where it is not on a port of this machine."""
		frappe.init(site=self._site)
		try:
			here = frappe.conf.db_host in _HERE and not frappe.conf.db_socket
			return int(frappe.conf.db_port) if here and frappe.conf.db_type != "sqlite" else 0
		finally:
			frappe.destroy()
