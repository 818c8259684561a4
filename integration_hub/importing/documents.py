"""YAML and JSON from outside, read within bounds: size, depth, and what aliases repeat."""

from __future__ import annotations

from typing import Any

from integration_hub.lazy_messages import _

MOST_CHARACTERS = 8_000_000
MOST_NODES = 1_000_000  # of the document as written; what aliases repeat is counted each time
DEEPEST = 100


class ImportRefused(ValueError):
	"""A document that is not read; the text says why."""


def read_document(text: str) -> dict[str, Any]:
	"""Return a YAML or JSON document that is one object. Raises ImportRefused."""
	if len(text) > MOST_CHARACTERS:
		raise ImportRefused(_("is longer than {0} characters", MOST_CHARACTERS))
	found = _parsed(text)
	if not isinstance(found, dict):
		raise ImportRefused(_("is not an object"))
	_check(found)
	return found


def _parsed(text: str) -> Any:
	try:
		import yaml
	except ImportError:
		raise ImportRefused(
			_("cannot be read: install PyYAML (pip install 'integration_hub[import]')")
		) from None
	try:
		return yaml.load(text, _loader())
	except (yaml.YAMLError, ValueError, RecursionError, TypeError, LookupError, OverflowError) as error:
		raise ImportRefused(_("is neither YAML nor JSON: {0}", str(error)[:500])) from None


def _loader() -> type:
	"""Return a loader that makes plain values only, and leaves times as the text they are."""
	import yaml

	base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
	resolvers = {
		first: [pair for pair in pairs if not pair[0].endswith(":timestamp")]
		for first, pairs in base.yaml_implicit_resolvers.items()
	}
	return type("PlainLoader", (base,), {"yaml_implicit_resolvers": resolvers})


def _check(document: Any) -> None:
	"""Raise ImportRefused for what is too deep, or would be too much written out."""
	level, count = [document], 0
	for _depth in range(DEEPEST):
		level = [child for value in level for child in _children(value)]
		count += len(level)
		if count > MOST_NODES:
			raise ImportRefused(_("holds more than {0} values, aliases written out", MOST_NODES))
		if not level:
			return
	raise ImportRefused(_("is nested deeper than {0} levels", DEEPEST))


def _children(value: Any) -> list[Any]:
	if isinstance(value, dict):
		return list(value.values())
	return value if isinstance(value, list) else []
