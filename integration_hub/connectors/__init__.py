"""Connectors: HTTP to one external system. No database, no Frappe."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
	from integration_hub.connectors.base import BaseConnector
	from integration_hub.connectors.oauth2 import OAuth2Connector
	from integration_hub.connectors.rest import RestConnector

__all__ = ["BaseConnector", "OAuth2Connector", "RestConnector"]

_MODULES = {"BaseConnector": "base", "OAuth2Connector": "oauth2", "RestConnector": "rest"}


def __getattr__(name: str) -> Any:
	"""Import a class when it is asked for: with it comes an HTTP client, which each `bench` command would pay for."""
	if name not in _MODULES:
		raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
	return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
