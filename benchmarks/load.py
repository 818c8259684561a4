"""A client that posts as fast as the server answers, over some connections."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, count, islice
from subprocess import DEVNULL, Popen

from integration_hub.sandbox.sender import HEADER, sign

SECRET = "benchmark-secret"  # noqa: S105 - it guards nothing


def request(path: str, number: str) -> bytes:
	"""Return a signed event as a raw HTTP request."""
	body = json.dumps({"id": number, "event": "x", "data": {"name": "Customer", "city": "Pune"}}).encode()
	lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
	lines += [f"{HEADER}: {sign(body, SECRET)}", f"Content-Length: {len(body)}", "", ""]
	return "\r\n".join(lines).encode() + body


def load(port: int, path: str, connections: int, seconds: float) -> list[float]:
	"""Post distinct events over some connections for a while; return the seconds each took to be answered.

	One thread and requests made beforehand: the client shares the machine's processors with the server.
	"""
	run = str(time.time_ns())
	requests = (request(path, f"{run}-{number}") for number in count())
	ready = list(islice(requests, int(seconds * 3000)))
	requests = chain(ready, requests)
	took: list[float] = []
	with selectors.DefaultSelector() as selector, ExitStack() as stack:
		for _ in range(connections):
			connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
			selector.register(connection, selectors.EVENT_READ, [time.monotonic(), b""])
			connection.sendall(next(requests))
		until = time.monotonic() + seconds
		while time.monotonic() < until:
			for lane, _ in selector.select(1):
				lane.data[1] += lane.fileobj.recv(65536)
				if not complete(lane.data[1]):
					continue
				assert lane.data[1].split(b" ", 2)[1] in (b"200", b"202"), lane.data[1][:300]
				now = time.monotonic()
				took.append(now - lane.data[0])
				lane.data[:] = [now, b""]
				lane.fileobj.sendall(next(requests))
	return took


def complete(answer: bytes) -> bool:
	"""Tell whether an HTTP answer has arrived whole."""
	head, found, body = answer.partition(b"\r\n\r\n")
	if not found:
		return False
	headers = (line.partition(b":") for line in head.split(b"\r\n")[1:])
	return len(body) >= next(int(value) for name, _, value in headers if name.lower() == b"content-length")


@contextmanager
def server(command: list[str], port: int, **options: object) -> Iterator[Popen]:
	"""Run a server for a block, from when it listens on its port."""
	process = Popen(command, stdout=DEVNULL, stderr=DEVNULL, **options)
	try:
		while process.poll() is None:
			try:
				socket.create_connection(("127.0.0.1", port), 1).close()
				break
			except OSError:
				time.sleep(0.1)
		else:
			raise RuntimeError(f"The server ended with {process.returncode}: {' '.join(command)}")
		time.sleep(2)
		yield process
	finally:
		process.terminate()
		process.wait()
