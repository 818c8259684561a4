"""Running the receiver on Granian: its network threads hold no GIL, and an event costs half of what it did on gunicorn."""

from __future__ import annotations

import errno
import ipaddress
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from integration_hub.stores.runtime import HubError
from integration_hub.terminal_text import log_plainly
from integration_hub.webhooks.asgi import CONNECTIONS, AsgiReceiver
from integration_hub.webhooks.receiver import Receiver

KILL_SECONDS = 5  # granted to what is in progress when the receiver is stopped
HEAD_SECONDS = 10  # for the head of a request; a connection at rest is closed after that, too
_LOOK_SECONDS = 1.0
_TAKEN_SECONDS = 5.0  # granted to the workers of a killed receiver to end
_BACKLOG = 2048
_SPARE_FILES = 256  # file descriptors beside those of connections: databases, pipes, logs

MakeReceiver = Callable[[], Receiver]


def serve(
	make_receiver: MakeReceiver,
	host: str,
	port: int,
	workers: int,
	threads: int,
	connections: int = CONNECTIONS,
	announce: Callable[[], None] = lambda: None,
) -> None:
	"""Serve until stopped; raises HubError where the port is taken.

	make_receiver: called in each worker process; it can be pickled. threads, connections: of each. announce: called
	once the port is ours.
	"""
	address = _address(host)
	with alone_at(address, port):
		announce()
		server = Granian(
			"integration-hub",
			address=address,
			port=port,
			interface=Interfaces.ASGINL,
			workers=workers,
			http=HTTPModes.http1,
			http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000),
			websockets=False,
			backlog=_BACKLOG,
			backpressure=_most_open(connections),
			log_level=LogLevels.warning,
			respawn_failed_workers=True,
			workers_kill_timeout=KILL_SECONDS,
		)
		loader = partial(_in_worker, make_receiver, threads, connections, os.getpid())
		server.serve(target_loader=loader, wrap_loader=False)


def _most_open(connections: int) -> int:
	"""Return how many connections a worker takes, as many more than it serves as there can be.

	Beyond these Granian leaves connections to the kernel, without an answer: few wait for a 503 for long.
	"""
	soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
	wanted = 8 * connections + _SPARE_FILES
	limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
	if limit > soft:
		with suppress(OSError, ValueError):
			resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
			soft = limit
	return max(min(limit, soft) - _SPARE_FILES, 1)


def _address(host: str) -> str:
	"""Return the address of a host's name: Granian takes no other; raises HubError."""
	try:
		return str(ipaddress.ip_address(host.strip("[]")))
	except ValueError:
		pass
	try:
		return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
	except (OSError, ValueError, TypeError) as error:  # not of the system: what no name of a host can be
		said = getattr(error, "strerror", None) or "not a host's name"
		raise HubError(f"is no address of this machine ({said})", name=host) from None


@contextmanager
def alone_at(address: str, port: int) -> Iterator[None]:
	"""Hold a port against other servers for a block; raises HubError if one has it.

	The worker processes of Granian share a port (SO_REUSEPORT), and would share it with those of another receiver, each
	of which would get a part of the events.
	"""
	until = time.monotonic() + _TAKEN_SECONDS
	while True:
		try:
			mark = _mark(address, port)
			break
		except OSError as error:
			if error.errno != errno.EADDRINUSE or time.monotonic() >= until:
				raise HubError(_refusal(error), name=f"{address}:{port}") from None
			time.sleep(0.2)
	try:
		yield
	finally:
		mark.close()


def _refusal(error: OSError) -> str:
	"""Return why a port cannot be listened at, and what to do."""
	if error.errno == errno.EADDRINUSE:
		return "is taken: another receiver or program listens there"
	if error.errno == errno.EADDRNOTAVAIL:
		return "is no address of this machine: --host takes one, or 0.0.0.0 for all"
	return str(error.strerror)


def _mark(address: str, port: int) -> socket.socket:
	"""Return what marks a port as ours as long as it is open; raises OSError if somebody has the port, or the mark."""
	family = socket.AF_INET6 if ":" in address else socket.AF_INET
	mark = socket.socket(socket.AF_UNIX)
	try:
		if sys.platform == "linux":  # a name in no file system, which ends with its process
			mark.bind(f"\0integration-hub {address} {port}")
		with socket.socket(family) as probe:
			probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
			probe.bind((address, port))
	except BaseException:
		mark.close()
		raise
	return mark


def _in_worker(
	make_receiver: MakeReceiver, threads: int, connections: int, parent: int
) -> Callable[..., Awaitable[None]]:
	log_plainly()
	threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
	return AsgiReceiver(make_receiver(), threads, connections)


def _end_with(parent: int) -> None:
	"""End with the process that has started this one: were it killed, its successor would find the port taken."""
	while os.getppid() == parent:
		time.sleep(_LOOK_SECONDS)
	os.kill(os.getpid(), signal.SIGTERM)
	time.sleep(KILL_SECONDS)
	os._exit(1)
