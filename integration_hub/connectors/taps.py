"""Singer taps that the owner of the runtime has registered: commands, in `hub.toml` or `site_config.json`, never in Desk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.redact import says_secret

_PREFIX = "tap:"  # of a base URL that names a tap
_REFERENCE = "env:"
_SHORTEST = 4  # characters of a secret that can be masked


@dataclass(frozen=True)
class Tap:
	"""One registered tap.

	command: program and arguments, run without a shell. config, catalog: files that it gets. environment: all that it
	knows of ours; a value `env:NAME` is our variable's. seconds: the longest it may run. megabytes: the most memory it
	may take. record_limit: records of a page where no STATE comes.
	"""

	name: str
	command: tuple[str, ...] = ()
	config: str = ""
	catalog: str = ""
	environment: Mapping[str, str] = field(default_factory=dict)
	seconds: float = 3600.0
	megabytes: int = 1024
	record_limit: int = 5000
	folder: str = ""

	@classmethod
	def read(cls, base_url: str, registered: Mapping[str, Any], folder: str = "") -> Tap:
		"""Return the tap that `tap:NAME` names. Raises ConfigurationError, also for one that is registered wrongly."""
		name = base_url.removeprefix(_PREFIX)
		row = registered.get(name) if base_url.startswith(_PREFIX) else None
		if not isinstance(row, Mapping):
			known = ", ".join(registered) or "none"
			raise ConfigurationError(
				f"base_url: no tap {name!r} is registered; registered are: {known}.", field="base_url"
			)
		for problem in tap_problems(row):
			raise ConfigurationError(f"The tap {name!r}: {problem}.", field="base_url")
		values = {**row, "command": tuple(row["command"])}
		return cls(name=name, folder=folder, **values)

	def arguments(self) -> list[str]:
		"""Return the command, its program as a path where it names one in a folder."""
		program, *rest = self.command
		return [self.path(program) if "/" in program else program, *rest]

	def path(self, place: str) -> str:
		"""Return a file's path, relative to where the tap is registered."""
		return str(Path(self.folder) / place)

	def variables(self, folder: str) -> dict[str, str]:
		"""Return the environment that the tap gets. Raises ConfigurationError for a variable that is not set."""
		found = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}
		for name, value in self.environment.items():
			found[name] = _variable(self.name, value) if value.startswith(_REFERENCE) else value
		return found

	def secrets(self, variables: Mapping[str, str]) -> Iterator[str]:
		"""Return the secrets that the tap gets: its own variables, and what its configuration names as one."""
		yield from (variables[name] for name in self.environment)
		if self.config:
			yield from _secrets(self._configuration())

	def _configuration(self) -> Any:
		try:
			return json.loads(Path(self.path(self.config)).read_text())
		except (OSError, ValueError) as error:
			reason = getattr(error, "strerror", None) or "no JSON"
			raise ConfigurationError(
				f"The tap {self.name!r}: {self.config} cannot be read ({reason})."
			) from None


def tap_problems(row: Mapping[str, Any]) -> Iterator[str]:
	"""Return what is wrong with a registration, as sentences without their end."""
	known = {one.name for one in fields(Tap)} - {"name", "folder"}
	for name in row.keys() - known:
		yield f"{name} is not a known key; there are {', '.join(sorted(known))}"
	command = row.get("command")
	if (
		not isinstance(command, list)
		or not command
		or not all(isinstance(one, str) and one for one in command)
	):
		yield "command must be a list of texts"
	for name in ("config", "catalog"):
		if not isinstance(row.get(name, ""), str):
			yield f"{name} must be the path of a file"
	for name in ("seconds", "megabytes", "record_limit"):
		value = row.get(name, 1)
		if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1_000_000:
			yield f"{name} must be a number above 0"
	environment = row.get("environment", {})
	if not isinstance(environment, Mapping) or not all(isinstance(one, str) for one in environment.values()):
		yield "environment must be a table of texts"


def _variable(tap: str, reference: str) -> str:
	name = reference.removeprefix(_REFERENCE)
	if name not in os.environ:
		raise ConfigurationError(f"The tap {tap!r}: the environment variable {name} is not set.")
	return os.environ[name]


def _secrets(value: Any, is_secret: bool = False) -> Iterator[str]:
	"""Return the texts at names that say so, within a value."""
	if isinstance(value, str):
		if is_secret and len(value) >= _SHORTEST:
			yield value
	elif isinstance(value, Mapping):
		for name, one in value.items():
			yield from _secrets(one, is_secret or says_secret(str(name)))
	elif isinstance(value, list):
		for one in value:
			yield from _secrets(one, is_secret)
