"""python -m chaos: five minutes of faults on one SQLite file, or on a site; exit code 0 if all is right."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from chaos.deployment import standalone_deployment
from chaos.run import OpenDeployment, run
from integration_hub.stores.runtime import HubError


def main() -> int:
	options = _options()
	signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing of the run may outlive it
	with ExitStack() as stack:
		deployment = _deployment(options, stack)
		folder = _folder(options.keep)
		right = run(
			folder,
			deployment,
			seconds=options.minutes * 60,
			seed=options.seed,
			customers=options.customers,
			verbose=options.verbose,
			terminal=sys.stdout.isatty(),
		)
	if right and not options.keep:
		shutil.rmtree(folder)
	else:
		print(f"Everything it wrote is in {folder}; again: --seed {options.seed}")
	return 0 if right else 1


def _deployment(options: argparse.Namespace, stack: ExitStack) -> OpenDeployment:
	"""Return what sets the run up: on a file, on the site that was named, or on one that is made."""
	if not options.bench:
		return standalone_deployment
	from chaos.bench import enter, own_site

	enter(options.bench)
	from chaos.site import site_deployment

	if options.site:
		return site_deployment(options.site)
	return site_deployment(*stack.enter_context(own_site()))


def _options() -> argparse.Namespace:
	parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
	parser.add_argument("--minutes", type=float, default=5, help="of faults (default 5)")
	parser.add_argument(
		"--seed", type=int, default=random.randrange(10_000), help="the same seed has the same faults"
	)
	parser.add_argument("--customers", type=int, default=400, help="in the sandbox CRM (default 400)")
	parser.add_argument("--verbose", action="store_true", help="print each fault")
	parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all files in this new folder")
	parser.add_argument("--bench", type=Path, help="run on a site of this bench")
	parser.add_argument(
		"--site",
		default="",
		help="an existing site; without it, one is made on a MariaDB that may be stopped",
	)
	options = parser.parse_args()
	if options.site and not options.bench:
		parser.error("--site needs --bench")
	return options


def _folder(keep: Path | None) -> Path:
	if not keep:
		return Path(tempfile.mkdtemp(prefix="hub-chaos-"))
	keep.mkdir(parents=True)
	return keep.resolve()


if __name__ == "__main__":
	try:
		sys.exit(main())
	except HubError as error:
		sys.exit(str(error))
