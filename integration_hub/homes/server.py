"""Running the receiver on Granian: its network threads hold no GIL, and an event costs half of what it did on gunicorn."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

_LOOK_SECONDS = 1.0


def serve(make_application: Callable[[], Callable], host: str, port: int, workers: int, threads: int) -> None:
	"""Serve a WSGI application until stopped. `make_application` is called in each worker process; it can be pickled."""
	server = Granian(
		"integration-hub",
		address=host,
		port=port,
		interface=Interfaces.WSGI,
		workers=workers,
		blocking_threads=threads,
		http=HTTPModes.http1,
		websockets=False,
		log_level=LogLevels.warning,
		respawn_failed_workers=True,
		workers_kill_timeout=30,
	)
	server.serve(target_loader=partial(_in_worker, make_application, os.getpid()), wrap_loader=False)


def _in_worker(make_application: Callable[[], Callable], parent: int) -> Callable:
	threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
	return make_application()


def _end_with(parent: int) -> None:
	"""End with the process that has started this one: were it killed, its successor would find the port taken."""
	while os.getppid() == parent:
		time.sleep(_LOOK_SECONDS)
	os.kill(os.getpid(), signal.SIGTERM)
