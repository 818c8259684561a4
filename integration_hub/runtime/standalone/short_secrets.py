"""Secrets that are guessed in no time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.runtime.standalone.hub_toml import HubFile
from integration_hub.stores.runtime import HubError

_SHORTEST = 8


def short_secrets(file: HubFile) -> Iterator[str]:
	"""Return a line for each secret of an integration that is very short; none says it, or how short it is."""
	for name, values in file.integrations.items():
		for field in SECRET_FIELDS:
			with suppress(HubError):  # one that cannot be read is told where it is needed
				if values.get(field) and len(file.secret(name, field) or "x" * _SHORTEST) < _SHORTEST:
					yield (
						f"{file.name} [integration.{name}], {field} is shorter than {_SHORTEST} characters and soon "
						"guessed: take one of 16 or more, made at random"
					)
