"""`integration-hub work`, in a process that knows the run's handler: python -m chaos.worker (--config TOML | --site SITE)"""

from __future__ import annotations

import argparse
import logging
from contextlib import AbstractContextManager

from chaos import effects
from integration_hub.commands import until_stopped
from integration_hub.homes.worker import Worked, work
from integration_hub.stores.home import Home


def opened(config: str, site: str) -> AbstractContextManager[Home]:
	"""Return the home to be opened, whose events the run's handler handles."""
	if site:
		from chaos.site import opened as opened_site

		return opened_site(site)
	from integration_hub.homes.file import FileHome

	return FileHome(config)


def report(done: Worked) -> None:
	print(f"{done.runs} runs, {done.events} events {' '.join(done.refused)}", flush=True)


def main() -> None:
	parser = argparse.ArgumentParser()
	parser.add_argument("--config", default="")
	parser.add_argument("--site", default="")
	options = parser.parse_args()
	logging.basicConfig(level=logging.WARNING)
	with opened(options.config, options.site) as home, until_stopped() as stop:
		effects.home, effects.mortal = home, True
		work(home, stop, report)


if __name__ == "__main__":
	main()
