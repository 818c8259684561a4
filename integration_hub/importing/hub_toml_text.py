"""A proposal as hub.toml: secrets are references to variables of the environment, and never values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from integration_hub.importing.manifest.secret_marks import shown
from integration_hub.importing.proposal import Proposal

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def hub_toml_of(proposal: Proposal) -> str:
	"""Return a proposal as hub.toml; what could not be converted stands above, as comments."""
	lines = [f"# not converted: {_comment(str(one))}" for one in proposal.complaints]
	lines += [f"# note: {_comment(note)}" for note in proposal.notes]
	if needs_key(proposal):
		lines += ["", "[hub]", 'encryption_key = "env:HUB_KEY"']
	for name, row in proposal.integrations.items():
		lines += ["", *_integration(name, row, proposal.secrets.get(name, {}))]
	for name, row in proposal.streams.items():
		lines += ["", *_stream(name, row)]
	for name, fields in proposal.tables.items():
		lines += ["", f"[table.{_key(name)}]", *_pairs(fields)]
	return "\n".join(lines).lstrip("\n") + "\n"


def needs_key(proposal: Proposal) -> bool:
	"""Tell whether an integration stores tokens, which needs a key to encrypt them with."""
	kinds = {str(row.get("auth_type", "")) for row in proposal.integrations.values()}
	return any(kind.startswith("OAuth2") or kind == "Session Token" for kind in kinds)


def variables(proposal: Proposal) -> dict[str, str]:
	"""Return the variables of the environment that secrets are read from, and what each holds."""
	return {
		variable_name(integration, field): shown(text)
		for integration, fields in proposal.secrets.items()
		for field, text in fields.items()
	}


def variable_name(integration: str, field: str) -> str:
	"""Return the variable that holds a Password field of an integration."""
	return re.sub(r"[^A-Z0-9]+", "_", f"{integration}_{field}".upper())


def _integration(name: str, row: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[str]:
	rules = row.get("answer_rules") or ()
	yield f"[integration.{_key(name)}]"
	yield from _pairs({key: value for key, value in row.items() if key != "answer_rules"})
	for field, text in secrets.items():
		yield f'{field} = "env:{variable_name(name, field)}"  # {_comment(shown(text))}'
	for rule in rules:
		yield ""
		yield f"[[integration.{_key(name)}.answer_rules]]"
		yield from _pairs({key: value for key, value in rule.items() if value})


def _stream(name: str, row: Mapping[str, Any]) -> Iterator[str]:
	yield f"[stream.{_key(name)}]"
	yield from _pairs({key: value for key, value in row.items() if key != "mapping"})
	yield ""
	yield f"[stream.{_key(name)}.mapping]"
	yield from _pairs(row.get("mapping") or {})


def _pairs(values: Mapping[str, Any]) -> Iterator[str]:
	for key, value in values.items():
		if value is not None:
			yield f"{_key(key)} = {_value(value)}"


def _value(value: Any) -> str:
	if isinstance(value, bool):
		return str(value).lower()
	if isinstance(value, int | float):
		return repr(value)
	text = str(value)
	if "\n" in text and "'''" not in text and not _ESCAPED.search(text.replace("\n", "")):
		return f"'''\n{text}'''"
	return quoted(text)


def _key(name: str) -> str:
	return name if _BARE.fullmatch(name) else quoted(name)


def quoted(text: str) -> str:
	"""Return a basic string of TOML (v1.0.0)."""
	text = json.dumps(text, ensure_ascii=False).replace("\\/", "/")
	return _ESCAPED.sub(lambda found: f"\\u{min(ord(found[0]), 0xFFFD):04x}", text)


def _comment(text: str) -> str:
	return _ESCAPED.sub(" ", text)
