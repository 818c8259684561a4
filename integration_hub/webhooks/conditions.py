"""Conditions of routes: a JMESPath over the payload of an event and the headers that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, PathTooCostly, search
from integration_hub.connectors.completeness_signs import says_yes
from integration_hub.connectors.header_fields import with_header_fields


def holds(condition: str, payload: Any, headers: Mapping[str, str]) -> bool:
	"""Tell whether a condition is true of an event; one that does not fit its payload is not.

	Raises PathTooCostly, which is the settings' fault.
	"""
	try:
		return says_yes(search(condition, with_header_fields(payload, headers, condition)))
	except PathTooCostly:
		raise
	except PathError:
		return False
