"""Where secrets may not be: in any file and any table that the run wrote."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from chaos.arena import Arena
from chaos.verdict import Verdict

_LEAST = 8  # characters; shorter ones occur by chance


def leaks(arena: Arena) -> Verdict:
	"""Look for every secret of the run, in the forms it may take, in its files and in all text of its tables."""
	needles = _needles(arena)
	files = [path for path in _files(arena) if path.is_file()]
	found = [f"{name} in {path.name}" for path in files for name in _in(needles, path.read_bytes())]
	rows = 0
	for table, text in _rows(arena):
		rows += 1
		found += [f"{name} in {table}" for name in _in(needles, text)]
	searched = (
		f"{len(arena.crm.tokens.given) + len(arena.secrets)} secrets, {len(files)} files, {rows:,} rows"
	)
	found = sorted(set(found))
	text = f"{len(found)} places: {'; '.join(found[:5])}" if found else f"none ({searched} searched)"
	return Verdict("Secrets in files and tables", text, not found)


def _needles(arena: Arena) -> dict[bytes, str]:
	named = {**arena.secrets, **{f"token {n}": token for n, token in enumerate(arena.crm.tokens.given)}}
	password = arena.secrets["CRM_QUEUE_URL"].partition("://:")[2].partition("@")[0]
	named["CRM_QUEUE_URL"] = password  # the rest of it is an address
	forms: dict[bytes, str] = {}
	for name, value in named.items():
		for form in (value, quote(value, safe=""), base64.b64encode(value.encode()).decode()):
			if len(form) >= _LEAST:
				forms[form.encode()] = name
	return forms


def _in(needles: Mapping[bytes, str], content: bytes) -> Iterator[str]:
	return (name for needle, name in needles.items() if needle in content)


def _files(arena: Arena) -> Iterator[Path]:
	yield from arena.folder.rglob("*")
	for folder in arena.stage.logs:
		yield from (path for path in folder.glob("*.log*") if path.stat().st_mtime >= arena.began)


def _rows(arena: Arena) -> Iterator[tuple[str, bytes]]:
	db = arena.stage.home.db
	for table in arena.stage.tables:
		for row in db.query(f"SELECT * FROM `{table}`"):
			yield table, json.dumps([str(value) for value in row.values()], ensure_ascii=False).encode()
