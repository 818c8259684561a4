"""Webhooks: signatures, the inbox, routes and handlers."""

from integration_hub.webhooks.defer import Defer

__all__ = ["Defer"]
