"""The command: see the package's docstring."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from scripts.frappe_api.compare import Comparison
from scripts.frappe_api.definitions import Checkout

APP = Path(__file__).parents[2] / "integration_hub"


def main(arguments: list[str] | None = None) -> int:
	"""Print what is wrong; return 1 if anything is, 2 if there is no Frappe or this Python cannot read it."""
	given = _arguments(arguments)
	checkout = Checkout(given.frappe)
	if not checkout.package.joinpath("__init__.py").exists():
		print(f"{given.frappe} holds no frappe package")
		return 2
	try:
		done = Comparison(given.app.resolve(), checkout).run()
	except SyntaxError as error:
		print(f"{error.filename}:{error.lineno}: Python {platform.python_version()} is too old to read it")
		return 2
	for line in (*done.found, *(done.notes if given.notes else ())):
		print(line)
	print(
		f"frappe_api: {len(done.found)} missing or different, {len(done.notes)} unknown there and done without"
	)
	return int(bool(done.found))


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
	parser = argparse.ArgumentParser("python -m scripts.frappe_api")
	parser.add_argument("frappe", type=Path, help="a checkout of Frappe, whole or in part")
	parser.add_argument("--app", type=Path, default=APP, help="the app's package")
	parser.add_argument("--notes", action="store_true", help="also what that version does without")
	return parser.parse_args(arguments)


if __name__ == "__main__":
	sys.exit(main())
