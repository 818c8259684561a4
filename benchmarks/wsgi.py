"""Serving the endpoints that ours is compared with: plain WSGI applications on the same server."""

from __future__ import annotations

from collections.abc import Callable

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels


def serve_wsgi(make_application: Callable[[], Callable], port: int, workers: int, threads: int) -> None:
	"""Serve a WSGI application until stopped. `make_application` is called in each worker process; it can be pickled."""
	server = Granian(
		"benchmark",
		port=port,
		interface=Interfaces.WSGI,
		workers=workers,
		blocking_threads=threads,
		http=HTTPModes.http1,
		websockets=False,
		log_level=LogLevels.warning,
	)
	server.serve(target_loader=make_application, wrap_loader=False)
