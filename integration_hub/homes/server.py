"""Running the receiver on gunicorn, a production WSGI server that Frappe brings too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from integration_hub.stores.home import HubError


def serve(make_application: Callable[[], Callable], host: str, port: int, workers: int, threads: int) -> None:
	"""Serve until stopped. `make_application` is called in each worker process."""
	try:
		from gunicorn.app.base import BaseApplication
	except ImportError:
		raise HubError("gunicorn is not installed: pip install 'integration_hub[standalone]'") from None

	class Server(BaseApplication):
		def load_config(self) -> None:
			options: dict[str, Any] = {
				"bind": f"{host}:{port}",
				"workers": workers,
				"worker_class": "gthread",
				"threads": threads,
				"keepalive": 15,
				"accesslog": None,
				"proc_name": "integration-hub",
			}
			for name, value in options.items():
				self.cfg.set(name, value)

		def load(self) -> Callable:
			return make_application()

	Server().run()
