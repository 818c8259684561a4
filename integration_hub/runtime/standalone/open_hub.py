"""The part of the standalone runtime that its tables are brought in line through."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from integration_hub.runtime.standalone.hub_toml import HubFile
from integration_hub.stores.sqlite import SQLiteDatabase


class OpenHub(Protocol):
	"""A hub.toml and its open database."""

	db: SQLiteDatabase
	file: HubFile

	def now(self, ahead: float = 0) -> str:
		"""Return the time `ahead` seconds from now as the database stores it."""

	def owner(self) -> str:
		"""Return who creates rows here."""

	def lock(self, name: str) -> AbstractContextManager[bool]:
		"""Try to take a lock that dies with its owner; the block gets True if it was free."""
