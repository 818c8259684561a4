"""Connectors: HTTP to one external system. No database, no Frappe."""

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.rest import RestConnector

__all__ = ["BaseConnector", "OAuth2Connector", "RestConnector"]
