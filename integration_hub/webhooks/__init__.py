"""Webhooks: signatures, the inbox, routes and handlers."""
