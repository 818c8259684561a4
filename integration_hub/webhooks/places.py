"""Places of an event's id, type, time and record in what its sender sends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
	"""Places of an event's id, type and time: headers (the first that is there), else paths in the body.

	joined: an id is made of all that its headers and its path hold. record_path: what a new route has as its Record Path;
	"" is the body itself.
	"""

	id_headers: tuple[str, ...] = ()
	id_path: str = "id"
	type_headers: tuple[str, ...] = ()
	type_path: str = "event"
	time_headers: tuple[str, ...] = ()
	time_path: str = ""
	joined: bool = False
	record_path: str = "data"
