"""Redis connections that go to vetted addresses only: the name is resolved when connecting, and not again."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qsl, urlsplit

import redis
from redis.connection import Connection, SSLConnection

from integration_hub.connectors.deadline import PunctualTLSSocket, punctual
from integration_hub.connectors.ssrf_guard import vetted
from integration_hub.queues.redacting_client import RedactingRedis

_OWN_PORT = 6379
# Of the options a URL may have, those that lead nowhere else and name no files but certificates.
_OPTIONS = frozenset(
	{
		"client_name",
		"db",
		"health_check_interval",
		"password",
		"protocol",
		"retry_on_timeout",
		"socket_connect_timeout",
		"socket_keepalive",
		"socket_timeout",
		"ssl_ca_certs",
		"ssl_cert_reqs",
		"ssl_certfile",
		"ssl_check_hostname",
		"ssl_keyfile",
		"username",
	}
)


class _Pinned(Connection):
	"""Connects to an address that was vetted a moment ago; `host` stays the name, which TLS checks."""

	allowed: ClassVar[tuple[str, ...]] = ()

	def _connect(self) -> Any:
		name, last = self.host, OSError("no address")
		for address in vetted(name, self.port, self.allowed, _OWN_PORT):
			self.host = address
			try:
				return punctual(super()._connect())
			except OSError as error:
				last = error
			finally:
				self.host = name
		raise last


class _PinnedTLS(SSLConnection, _Pinned):
	"""Connects with TLS: SSLConnection wraps what the next class, which is _Pinned, has connected."""

	def __init__(self, **options: Any) -> None:
		# redis-py before 6 takes any valid certificate, of any host.
		if options.get("ssl_cert_reqs") != "none":
			options.setdefault("ssl_check_hostname", True)
		super().__init__(**options)

	def _connect(self) -> Any:
		# redis-py makes the context of TLS itself, just before it connects.
		connected = super()._connect()
		connected.__class__ = PunctualTLSSocket
		return connected


def owners_client(url: str, **options: Any) -> redis.Redis:
	"""Return a client for a URL that the site's owner wrote; raises ValueError for one that is none."""
	_split(url)
	return RedactingRedis.from_url(url, **options)


def _split(url: str) -> SplitResult:
	"""Return the parts of a URL; raises ValueError, which quotes none of it."""
	try:
		parts = urlsplit(url)
		_ = parts.port
	except ValueError:
		parts = None
	# Otherwise half a password would be taken for a host or an option, and named in errors.
	if parts is None or "@" in f"{parts.path}{parts.query}{parts.fragment}":
		raise ValueError("is no URL: / ? # @ : % of a password are written as %2F %3F %23 %40 %3A %25")
	return parts


def pinned_client(url: str, allowed: list[str], **options: Any) -> redis.Redis:
	"""Return a client for a URL that a person wrote who is not the site's owner.

	Raises OSError or ValueError where it may not be connected to. allowed: hosts that may have any address.
	"""
	parts = _split(url)
	if parts.scheme not in ("redis", "rediss") or not parts.hostname:
		raise ValueError("must be redis://HOST:PORT/DATABASE or rediss://…")
	if "%" in parts.hostname:  # redis-py would connect to what it stands for
		raise ValueError("must not have % in its host")
	# What is named here may be a part of a password that was not quoted.
	if {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - _OPTIONS:
		raise ValueError(f"must have no other options than {', '.join(sorted(_OPTIONS))}")
	hosts = tuple(allowed)
	vetted(parts.hostname, parts.port or _OWN_PORT, hosts, _OWN_PORT)  # to say so at once
	kind = _PinnedTLS if parts.scheme == "rediss" else _Pinned
	return RedactingRedis.from_url(
		url, connection_class=type(kind.__name__, (kind,), {"allowed": hosts}), **options
	)
