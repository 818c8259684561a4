"""`integration-hub work`, in a process that knows the run's handler: python -m chaos.worker --config TOML"""

from __future__ import annotations

import argparse
import logging

from chaos import effects
from integration_hub.commands.base import until_stopped
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.worker import Worked, work


def report(done: Worked) -> None:
	print(f"{done.runs} runs, {done.events} events {' '.join(done.refused)}", flush=True)


def main() -> None:
	parser = argparse.ArgumentParser()
	parser.add_argument("--config", required=True)
	options = parser.parse_args()
	logging.basicConfig(level=logging.WARNING)
	with StandaloneRuntime(options.config) as runtime, until_stopped() as stop:
		effects.runtime, effects.mortal = runtime, True
		work(runtime, stop, report)


if __name__ == "__main__":
	main()
