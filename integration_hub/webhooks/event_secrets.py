"""No event is kept under a secret: its id, type and key stand in lists, answers and logs."""

from __future__ import annotations

from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.stores.inbox import Event
from integration_hub.stores.runtime import HubError

# What an event is kept under, and the fields of the settings that say where it is read.
_KEPT = {
	"event_id": "event_id_path",
	"event_type": "event_type_path",
	"ordering_key": "ordering_key_path",
}


def check_event(event: Event, known: KnownSecrets) -> None:
	"""Raise HubError where an event would be kept under a secret: its settings name the wrong place, or its sender does."""
	for name, field in _KEPT.items():
		if known.stands_in(getattr(event, name) or ""):
			raise HubError(is_secret(), doctype="Integration Settings", name=event.integration, field=field)
	if known.stands_in_repr(event.headers):  # of those that are kept
		place = {"doctype": "Integration Settings", "name": event.integration}
		raise HubError(is_secret(), **place, field="signature_header")
