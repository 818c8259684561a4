"""A search for secrets in every file and every table that the run wrote."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from chaos.environment import Environment
from chaos.verdict import Verdict

_LEAST = 8  # characters; shorter ones occur by chance


def leaks(environment: Environment) -> Verdict:
	"""Look for every secret of the run, in the forms it may take, in its files and in all text of its tables."""
	needles = _needles(environment)
	files = [path for path in _files(environment) if path.is_file()]
	found = [f"{name} in {path.name}" for path in files for name in _in(needles, path.read_bytes())]
	rows = 0
	for table, text in _rows(environment):
		rows += 1
		found += [f"{name} in {table}" for name in _in(needles, text)]
	searched = f"{len(environment.crm.tokens.given) + len(environment.secrets)} secrets, {len(files)} files, {rows:,} rows"
	found = sorted(set(found))
	text = f"{len(found)} places: {'; '.join(found[:5])}" if found else f"none ({searched} searched)"
	return Verdict("Secrets in files and tables", text, not found)


def _needles(environment: Environment) -> dict[bytes, str]:
	named = {
		**environment.secrets,
		**{f"token {n}": token for n, token in enumerate(environment.crm.tokens.given)},
	}
	password = environment.secrets["CRM_QUEUE_URL"].partition("://:")[2].partition("@")[0]
	named["CRM_QUEUE_URL"] = password  # the rest of it is an address
	forms: dict[bytes, str] = {}
	for name, value in named.items():
		for form in (value, quote(value, safe=""), base64.b64encode(value.encode()).decode()):
			if len(form) >= _LEAST:
				forms[form.encode()] = name
	return forms


def _in(needles: Mapping[bytes, str], content: bytes) -> Iterator[str]:
	return (name for needle, name in needles.items() if needle in content)


def _files(environment: Environment) -> Iterator[Path]:
	yield from environment.folder.rglob("*")
	for folder in environment.deployment.logs:
		yield from (path for path in folder.glob("*.log*") if path.stat().st_mtime >= environment.began)


def _rows(environment: Environment) -> Iterator[tuple[str, bytes]]:
	db = environment.deployment.runtime.db
	for table in environment.deployment.tables:
		for row in db.query(f"SELECT * FROM `{table}`"):
			yield table, json.dumps([str(value) for value in row.values()], ensure_ascii=False).encode()
