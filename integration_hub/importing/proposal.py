"""A proposal: the settings that a description of an API gives, what to ask for, and what could not be converted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Complaint:
	"""One thing that could not be converted: where it stands in the description, and what is missing."""

	path: str
	reason: str

	def __str__(self) -> str:
		return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Question:
	"""One value that the description asks for.

	name: as `credentials.api_key`. kind: string, integer, number, boolean or array. choices: the only values, if
	there are any. when: name and value of the choice that this question belongs to.
	"""

	name: str
	label: str = ""
	description: str = ""
	kind: str = "string"
	secret: bool = False
	required: bool = False
	default: Any = None
	example: Any = None
	choices: tuple[Any, ...] = ()
	when: tuple[str, Any] | None = None


@dataclass(frozen=True)
class Proposal:
	"""Settings to be made, by name, as hub.toml has them.

	secrets: integration → Password field → text in which `secret_mark` stands for the answers to secret questions.
	titles: table → title. complaints: by stream, "" for what concerns all.
	"""

	integrations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
	streams: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
	tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
	secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
	questions: tuple[Question, ...] = ()
	complaints: tuple[Complaint, ...] = ()
	notes: tuple[str, ...] = ()

	@property
	def hosts(self) -> list[str]:
		"""Return the URLs that the settings would send requests and credentials to, for a person to confirm."""
		urls = (row.get(name) for row in self.integrations.values() for name in ("base_url", "token_url"))
		return sorted({url for url in urls if url})


class Complaints:
	"""Collects complaints, each once, in order."""

	def __init__(self) -> None:
		self._found: dict[Complaint, None] = {}

	def add(self, path: str, reason: str) -> None:
		"""Note what could not be converted."""
		self._found[Complaint(path, reason)] = None

	def extend(self, complaints: Iterable[Complaint]) -> None:
		"""Note several."""
		self._found.update(dict.fromkeys(complaints))

	def __iter__(self) -> Iterator[Complaint]:
		return iter(self._found)

	def __len__(self) -> int:
		return len(self._found)
