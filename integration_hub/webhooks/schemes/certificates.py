"""Certificates that senders name by URL: fetched from their own hosts alone, through the SSRF guard, and kept for a while."""

from __future__ import annotations

import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from cryptography.x509 import Certificate

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.transport import Transport
from integration_hub.webhooks.schemes.base import BadSignature, CannotVerify
from integration_hub.webhooks.schemes.keys import certificate_in, key_of

_SECONDS = 3.0  # for connecting and reading: a sender waits
_MEGABYTES = 0.0625  # of an answer
_KEPT_SECONDS, _WRONG_SECONDS = 24 * 3600.0, 60.0
_MOST_KEPT = 200
# In each process, of each integration: who asks with new URLs each time makes no flood of us, and stops no other sender.
_MOST_FETCHES, _FETCH_SECONDS = 30, 60.0
_HOST = re.compile(r"[a-z0-9*-]+(?:\.[a-z0-9*-]+)*(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class _Kept:
	certificate: Certificate | None  # None: there is none
	until: float


_kept: OrderedDict[str, _Kept] = OrderedDict()
_fetches: defaultdict[str, list[float]] = defaultdict(list)  # when, by integration
_lock = Lock()


def is_host_pattern(text: str) -> bool:
	"""Tell whether a setting can name hosts: `api.paypal.com`, `sns.*.amazonaws.com`, with a port if need be."""
	return bool(_HOST.fullmatch(text)) and text.replace("*", "").strip(".") != "" and not text.endswith("*")


def hosts_of(text: str) -> list[str]:
	"""Return the hosts that a setting lists, in lower case."""
	return [host.strip().lower() for host in text.split(",") if host.strip()]


def is_of(url: str, hosts: Iterable[str]) -> bool:
	"""Tell whether a URL is https at one of these hosts; a `*` is one label or a part of it, and never a dot."""
	if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
		return False
	try:
		parts = urlsplit(url)
		host, port = (parts.hostname or "").lower(), parts.port
	except ValueError:
		return False
	if parts.scheme != "https" or "@" in parts.netloc or "#" in url:
		return False
	name = host if port in (None, 443) else f"{host}:{port}"
	return any(_fits(name, pattern) for pattern in hosts)


def _fits(name: str, pattern: str) -> bool:
	return bool(re.fullmatch("[a-z0-9-]+".join(map(re.escape, pattern.split("*"))), name))


def key_at(
	url: str, hosts: Iterable[str], algorithm: str, config: IntegrationConfig, allowed: Iterable[str]
) -> Any:
	"""Return the public key of the certificate at a URL.

	allowed: hosts that may be of a private network. Raises BadSignature where there is none, CannotVerify where it could
	not be fetched now.
	"""
	if not is_of(url, hosts):
		raise BadSignature("certificate_host_wrong")
	certificate = _certificate(url, config, allowed)
	if not certificate or not _is_valid(certificate):
		raise BadSignature("certificate_wrong")
	try:
		return key_of(certificate, algorithm)
	except ValueError:
		raise BadSignature("certificate_wrong") from None


def _is_valid(certificate: Certificate) -> bool:
	now = datetime.now(timezone.utc)
	return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _certificate(url: str, config: IntegrationConfig, allowed: Iterable[str]) -> Certificate | None:
	with _lock:
		known = _kept.get(url)
	if known and known.until > time.monotonic():
		return known.certificate
	found = _read(fetched(url, config, allowed))
	with _lock:
		_kept[url] = _Kept(found, time.monotonic() + (_KEPT_SECONDS if found else _WRONG_SECONDS))
		while len(_kept) > _MOST_KEPT:
			_kept.popitem(last=False)
	return found


def _read(pem: bytes | None) -> Certificate | None:
	try:
		return certificate_in(pem) if pem else None
	except ValueError:
		return None


def fetched(url: str, config: IntegrationConfig, allowed: Iterable[str]) -> bytes | None:
	"""Return what a GET answers, None for an error of the asker's; raises CannotVerify where there is no answer now."""
	_spend(config.name)
	settings = IntegrationConfig(
		config.name,
		connect_timeout=_SECONDS,
		read_timeout=_SECONDS,
		max_response_mb=_MEGABYTES,
		proxy=config.proxy,
	)
	transport = Transport(settings, Redactor(), allowed)
	try:
		answer = transport.exchange("GET", url, None, seconds=_SECONDS)
	except ConnectorError:
		raise CannotVerify("certificate_not_fetched") from None
	finally:
		transport.close()
	if answer.status_code >= 500 or answer.status_code == 429:
		raise CannotVerify("certificate_not_fetched")
	return answer.content if answer.status_code == 200 else None


def _spend(integration: str) -> None:
	"""Count a fetch; raises CannotVerify where there were too many of late."""
	now = time.monotonic()
	with _lock:
		late = _fetches[integration] = [at for at in _fetches[integration] if at > now - _FETCH_SECONDS]
		if len(late) >= _MOST_FETCHES:
			raise CannotVerify("certificate_not_fetched")
		late.append(now)
