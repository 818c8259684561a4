"""Hosts of private networks that may be called, as the owner of a site or a hub.toml lists them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

ANY = "*"
_ENTRY = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:/?#@\s\[\]*]+)(?::(?P<port>\*|[0-9]{1,5}))?")


def place(entry: str) -> tuple[str, str]:
	"""Return host and port of an entry: `HOST`, `HOST:PORT`, `HOST:*`, an IPv6 address in brackets.

	port: "" is the scheme's own, `*` is any. Raises ValueError where an entry is none of these.
	"""
	text = entry.strip() if isinstance(entry, str) else ""
	if _is_ipv6(text):  # without brackets it has no port
		return _host(text), ""
	found = _ENTRY.fullmatch(text)
	if not found or (found["host"].startswith("[") and not _is_ipv6(found["host"][1:-1])):
		raise ValueError(f"{entry!r} is neither HOST, HOST:PORT, HOST:* nor *")
	port = found["port"] or ""
	if port not in ("", ANY) and not 0 < int(port) < 65536:
		raise ValueError(f"{entry!r} has a port that does not exist")
	return _host(found["host"]), port if port in ("", ANY) else str(int(port))


def is_allowed(host: str, port: int, own_port: int, entries: Iterable[str]) -> bool:
	"""Tell whether a host may have any address when it is called at this port.

	own_port: that of the scheme, which an entry without a port stands for. An entry that cannot be read allows nothing.
	"""
	wanted = {str(port), ANY} | ({""} if port == own_port else set())
	return any(entry == ANY or _allows(entry, _host(host), wanted) for entry in entries)


def _allows(entry: str, host: str, ports: set[str]) -> bool:
	try:
		listed, port = place(entry)
	except ValueError:
		return False
	return listed == host and port in ports


def _host(text: str) -> str:
	"""Return a host as it compares: names do so without case and the root's dot, IPv6 addresses by what they are."""
	host = text.strip("[]").lower().rstrip(".")
	return str(ipaddress.IPv6Address(host)) if _is_ipv6(host) else host


def _is_ipv6(text: str) -> bool:
	try:
		return bool(ipaddress.IPv6Address(text))
	except ValueError:
		return False
