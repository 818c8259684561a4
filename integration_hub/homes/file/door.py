"""The home without a bench behind the dedicated receiver."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from integration_hub.homes.file.home import FileHome
from integration_hub.webhooks.receiver import receiver


def application(config: str) -> Callable:
	"""Return the receiver of a hub.toml as a WSGI application."""
	folder = str(Path(config).parent)
	if folder not in sys.path:
		sys.path.append(folder)  # where the functions are that hub.toml names
	return receiver(lambda: FileHome(config))
