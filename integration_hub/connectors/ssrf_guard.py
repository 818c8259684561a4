"""Limits to where requests may go: a name is resolved once, its addresses are vetted, and a vetted one is connected to.

Settings are written by people who may not be the site's owner; without this, a base URL could point a
site's own network, or its cloud's metadata service, at them (server-side request forgery).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Iterable
from typing import Any

from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from integration_hub.connectors.allowed_hosts import is_allowed
from integration_hub.connectors.certificates import Certificates
from integration_hub.connectors.deadline import PunctualTLSSocket, punctual, punctual_tls, within
from integration_hub.connectors.response_limits import LimitedResponse


class _HideQuery(logging.Filter):
	"""Hides the query of each request that urllib3 logs at DEBUG: it may carry an API key."""

	def filter(self, record: logging.LogRecord) -> bool:
		if isinstance(record.args, tuple):
			record.args = tuple(a.partition("?")[0] if isinstance(a, str) else a for a in record.args)
		return True


logging.getLogger("urllib3.connectionpool").addFilter(_HideQuery())

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Global by the registries, and yet a cloud's own, or an IPv4 address in a form that Python does not unwrap.
_NEVER = [
	ipaddress.ip_network(text)
	for text in (
		"168.63.129.16/32",
		"192.0.0.0/24",
		"fec0::/10",
		"64:ff9b:1::/48",
		"::/96",
		"::ffff:0:0:0/96",
	)
]
_OWN_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


REFUSED = (
	"is an address of a private network. To allow it, add it to integration_hub_allowed_hosts of site_config.json"
	" (allowed_hosts of hub.toml), as HOST, or as HOST:PORT if the port is not the scheme's own."
)


class AddressRefused(OSError):
	"""The host has an address that requests may not go to."""


def is_public(address: _Address) -> bool:
	"""Tell whether an address is one of the internet, and not of this machine, its network or its cloud."""
	if isinstance(address, ipaddress.IPv6Address):
		# An IPv4 address within an IPv6 one is judged as the IPv4 address.
		inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
		if inner is None and address in _NAT64:
			inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
		if inner is not None:
			return is_public(inner)
	return address.is_global and not address.is_multicast and not any(address in net for net in _NEVER)


def vetted(host: str, port: int, allowed: Iterable[str], own_port: int) -> list[str]:
	"""Return the addresses of a host; raises AddressRefused if one of them is not to be called.

	allowed: hosts that may have any address, with ports; see allowed_hosts.place. own_port: that of the URL's scheme.
	"""
	found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
	addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
	if is_allowed(host, port, own_port, allowed):
		return addresses
	for text in addresses:
		# A name with one public and one private address is an attempt, not an accident: all must be public.
		if not is_public(ipaddress.ip_address(text.partition("%")[0])):
			raise AddressRefused(f"{f'[{host}]' if ':' in host else host}:{port} {REFUSED}")
	return addresses


class _Guarded:
	"""Mixed into urllib3's connections: connects to a vetted address; TLS still checks the name."""

	allowed: tuple[str, ...] = ()
	response_class = LimitedResponse

	def _new_conn(self) -> socket.socket:
		try:
			addresses = vetted(self._dns_host, self.port, self.allowed, self._own_port())
		except socket.gaierror as error:
			raise NameResolutionError(self.host, self, error) from error
		except (AddressRefused, UnicodeError) as error:
			raise NewConnectionError(self, str(error)) from error
		last: Exception = OSError("no address")
		for address in addresses:
			try:
				return punctual(
					create_connection(
						(address, self.port),
						within(self.timeout),
						source_address=self.source_address,
						socket_options=self.socket_options,
					)
				)
			except OSError as error:
				last = error
		raise NewConnectionError(self, f"Failed to establish a new connection: {last}") from last

	def _own_port(self) -> int:
		"""Return the port that a URL without one means: a proxy's is that of the proxy's scheme."""
		return _OWN_PORTS[self.proxy.scheme] if self.proxy else self.default_port


class _GuardedTLS(_Guarded):
	certificates = Certificates()

	def connect(self) -> None:
		# A context of its own: where there is none urllib3 makes one too, whose sockets know no deadline.
		self.ssl_context = punctual_tls(create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs)))
		if self.certificates.trusted:
			self.ca_certs = self.ca_cert_dir = None
			self.ca_cert_data = self.certificates.trusted
		self.certificates.show(self.ssl_context)
		super().connect()

	def _connect_tls_proxy(self, *args, **options) -> Any:
		# What is wrapped in it reads through it. It has a context that cannot be given without giving up its
		# verification, so it is changed when it is there.
		connected = super()._connect_tls_proxy(*args, **options)
		connected.__class__ = PunctualTLSSocket
		return connected


class GuardedAdapter(HTTPAdapter):
	"""A requests adapter whose connections, each of them, go to vetted addresses only.

	proxy_authorization: what a proxy is told, and nobody behind it; "" for nothing. certificates: whom to trust, and
	what to show to a server.
	"""

	def __init__(
		self,
		allowed: Iterable[str] = (),
		proxy_authorization: str = "",
		certificates: Certificates | None = None,
	) -> None:
		self._proxy_authorization = proxy_authorization
		self._certificates = certificates or Certificates()
		self._allowed = tuple(allowed)
		super().__init__()

	def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs) -> None:
		"""Make the pools that check an address before they connect to it (called by `requests`)."""
		self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
		self.poolmanager.pool_classes_by_scheme = self._pools()

	def proxy_headers(self, proxy: str) -> dict[str, str]:
		"""Return the headers for a proxy, with its credentials: its URL, which may be shown, holds none."""
		return {"Proxy-Authorization": self._proxy_authorization} if self._proxy_authorization else {}

	def proxy_manager_for(self, proxy: str, **kwargs) -> Any:
		"""Return a manager that vets the proxy's own address; the proxy decides about the addresses it connects to."""
		if not proxy.lower().startswith(("http://", "https://")):
			raise InvalidSchema("Only http and https proxies are supported.")
		manager = super().proxy_manager_for(proxy, **kwargs)
		manager.pool_classes_by_scheme = self._pools()
		return manager

	def _pools(self) -> dict[str, type]:
		allowed = {"allowed": self._allowed}
		plain = type("GuardedConnection", (_Guarded, HTTPConnection), allowed)
		with_certificates = {**allowed, "certificates": self._certificates}
		tls = type("GuardedTLSConnection", (_GuardedTLS, HTTPSConnection), with_certificates)
		return {
			"http": type("GuardedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
			"https": type("GuardedTLSPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
		}
