"""A proposal into hub.toml: what is in the file stays as it is, and what is new follows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

from integration_hub.importing.hub_toml_text import hub_toml_of, variables
from integration_hub.importing.proposal import Proposal
from integration_hub.runtime.standalone.apply_hub_toml import check
from integration_hub.runtime.standalone.hub_toml import load
from integration_hub.stores.runtime import HubError


def add_to_file(path: Path, proposal: Proposal) -> Iterator[str]:
	"""Append a proposal to hub.toml, which is made where there is none; say what was made.

	Nothing is written unless the whole file can be read afterwards. Raises HubError.
	"""
	before = _checked_text(path, proposal) if path.exists() else ""
	text = hub_toml_of(proposal)
	if before and "[hub]" in text:
		text = text.replace('[hub]\nencryption_key = "env:HUB_KEY"\n\n', "", 1)
	_write(path, f"{before.rstrip()}\n\n{text}" if before.strip() else text)
	for name in proposal.integrations:
		yield f"Added [integration.{name}] to {path}."
	for name in proposal.streams:
		yield f"Added [stream.{name}]."
	for variable, holds in variables(proposal).items():
		yield f"Set the variable {variable} to {holds}."


def _checked_text(path: Path, proposal: Proposal) -> str:
	"""Return the text of hub.toml; raises HubError where a name is taken."""
	file = load(path)
	for kind, taken, new in (
		("integration", file.integrations, proposal.integrations),
		("stream", file.streams, proposal.streams),
		("table", file.tables, proposal.tables),
	):
		if both := sorted(taken.keys() & new.keys()):
			raise HubError(
				"is there already; choose another name with --name", name=f"{path} [{kind}.{both[0]}]"
			)
	return file.text


def _write(path: Path, text: str) -> None:
	with NamedTemporaryFile(
		"w", dir=path.resolve().parent, suffix=".toml", delete=False, encoding="utf-8"
	) as new:
		new.write(text)
	try:
		check(load(Path(new.name)))
		os.replace(new.name, path)
	except BaseException:
		os.unlink(new.name)
		raise
