"""A TCP proxy that cuts, slows and silences what goes through it: python -m chaos.proxy PORT, told what to do by lines."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from contextlib import suppress

_PIECE = 64 * 1024


class Proxy:
	"""Listens on a port of its own and passes bytes on to another port of this machine, unless told otherwise."""

	def __init__(self, to: int):
		self.to = to
		self.cuts = 0
		self._delay = 0.0
		self._refusing = False
		self._flowing = threading.Event()
		self._flowing.set()
		self._open: set[socket.socket] = set()
		self._lock = threading.Lock()
		self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
		self.port = self._listener.getsockname()[1]
		threading.Thread(target=self._accept, daemon=True).start()

	def cut(self, refuse: bool) -> None:
		"""Break all connections with a TCP reset; with `refuse`, new ones too, until `clear`."""
		self._refusing = bool(refuse)
		with self._lock:
			found, self._open = self._open, set()
		self.cuts += len(found) // 2
		for end in found:
			_reset(end)

	def slow(self, delay: float) -> None:
		"""Let each piece wait `delay` seconds."""
		self._delay = delay

	def hang(self) -> None:
		"""Keep connections open and pass nothing on, until `clear`."""
		self._flowing.clear()

	def clear(self) -> None:
		self._refusing, self._delay = False, 0.0
		self._flowing.set()

	def close(self) -> None:
		self.cut(refuse=True)
		self._listener.close()
		self._flowing.set()

	def _accept(self) -> None:
		while True:
			try:
				near, _ = self._listener.accept()
			except OSError:
				return
			if self._refusing:
				_reset(near)
				continue
			threading.Thread(target=self._connect, args=(near,), daemon=True).start()

	def _connect(self, near: socket.socket) -> None:
		self._flowing.wait()
		try:
			far = socket.create_connection(("127.0.0.1", self.to), timeout=10)
		except OSError:  # what is behind is away: so it looks from here
			_reset(near)
			return
		far.settimeout(None)
		with self._lock:
			self._open |= {near, far}
		back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
		back.start()
		self._pump(near, far)
		back.join()
		with self._lock:
			self._open -= {near, far}
		near.close()
		far.close()

	def _pump(self, source: socket.socket, sink: socket.socket) -> None:
		try:
			while piece := source.recv(_PIECE):
				if self._delay:
					time.sleep(self._delay)
				self._flowing.wait()
				sink.sendall(piece)
			sink.shutdown(socket.SHUT_WR)
		except OSError:
			_reset(source)
			_reset(sink)


def _reset(end: socket.socket) -> None:
	"""Close with a TCP reset instead of a goodbye; who waits to read from it wakes up."""
	with suppress(OSError):
		end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		end.shutdown(socket.SHUT_RD)
	end.close()


def main(to: int) -> None:
	"""Print the proxy's port, then do what each line says, and print how many connections it has cut."""
	proxy = Proxy(to)
	print(proxy.port, flush=True)
	do = {"cut": proxy.cut, "slow": proxy.slow, "hang": proxy.hang, "clear": proxy.clear}
	for line in sys.stdin:
		what, *numbers = line.split()
		before = proxy.cuts
		do[what](*map(float, numbers))
		print(proxy.cuts - before, flush=True)
	proxy.close()


if __name__ == "__main__":
	main(int(sys.argv[1]))
