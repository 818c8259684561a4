"""The settings of an outbound stream, as the engine reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.lazy_messages import _
from integration_hub.stores.database import Database
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.stores.settings import child_rows, settings_row, stream_rows
from integration_hub.sync.config import FieldMapping, stream_values

DOCTYPE = "Sync Settings"
EVENT = "Event"


@dataclass(frozen=True)
class OutboundStream:
	"""One Sync Settings document of the direction Out. Field names are the document's."""

	name: str
	enabled: bool = False
	integration: str = ""
	direction: str = "In"
	target_doctype: str = ""
	endpoint: str = ""
	headers: str = ""
	id_path: str = "id"
	record_answer_path: str = ""
	record_endpoint: str = ""
	out_filters: str = ""
	out_condition: str = ""
	send_create: bool = True
	send_update: bool = True
	send_submit: bool = True
	send_update_after_submit: bool = True
	send_cancel: bool = True
	send_as: str = "Record"
	send_to: str = "HTTP"
	redis_key: str = ""
	event_type: str = ""
	signature: str = ""
	upsert_policy: str = "Upsert"
	idempotency_keys: bool = False
	create_method: str = "POST"
	create_path: str = ""
	update_method: str = "PUT"
	update_path: str = ""
	delete_method: str = "DELETE"
	delete_path: str = ""
	send_body: str = ""
	version_path: str = ""
	precondition: str = ""
	write_back: str = ""
	lookup_path: str = ""
	lookup_records_path: str = ""
	lookup_match: str = ""
	out_deletion: str = "Keep"
	out_disable_path: str = ""
	out_disable_value: str = ""
	out_delete_count: int = 5
	out_delete_percent: int = 10
	scan_minutes: int = 15
	compare_hours: int = 24
	scan_state: str = ""
	mapping: tuple[FieldMapping, ...] = ()

	@classmethod
	def from_row(cls, row: Mapping[str, Any], mapping: Sequence[Mapping[str, Any]]) -> OutboundStream:
		"""Read a row and its mapping rows; raises ValueError naming the field that cannot be read."""
		return cls(**stream_values(cls, row, mapping))

	@property
	def is_event(self) -> bool:
		"""Tell whether each change is a message of its own."""
		return self.send_as == EVENT

	@property
	def paths(self) -> dict[str, str]:
		"""Return the templates of the paths by operation, those that are empty made from the endpoint."""
		update = self.update_path or f"{self.endpoint.rstrip('/')}/{{id}}"
		return {
			"create": self.create_path or self.endpoint,
			"update": update,
			"delete": self.delete_path or update,
			"read": self.record_endpoint or update,
		}

	@property
	def written_back(self) -> dict[str, str]:
		"""Return the paths in the answer by the fields that they fill."""
		lines = (line.partition("=") for line in self.write_back.splitlines() if line.strip())
		return {field.strip(): path.strip() for field, _equals, path in lines}

	def wants(self, operation: str) -> bool:
		"""Tell whether an operation, as the outbox names it, is one that the stream sends."""
		if operation in ("deleted", "merged"):
			return self.is_event or self.out_deletion != "Keep"
		setting = _SETTINGS.get(operation)
		return bool(getattr(self, setting)) if setting else True

	def wants_state(self, docstatus: int) -> bool:
		"""Tell whether a document in a state is one that the stream sends: by the operations that lead there."""
		if docstatus == 0:
			return self.send_create or self.send_update
		return (self.send_submit or self.send_update_after_submit) if docstatus == 1 else self.send_cancel


_SETTINGS = {
	"created": "send_create",
	"updated": "send_update",
	"renamed": "send_update",
	"submitted": "send_submit",
	"updated_after_submit": "send_update_after_submit",
	"cancelled": "send_cancel",
}


def load_outbound(runtime: Runtime, name: str) -> OutboundStream:
	"""Return the settings of an outbound stream; raises HubError if there are none, or it is none."""
	row = settings_row(runtime.db, DOCTYPE, name)
	try:
		stream = OutboundStream.from_row(row, child_rows(runtime.db, "Sync Field Mapping", name))
	except ValueError as error:
		raise HubError(str(error), doctype=DOCTYPE, name=name) from None
	if stream.direction != "Out":
		raise HubError(_("is not a stream of direction Out"), doctype=DOCTYPE, name=name, field="direction")
	return stream


def outbound_streams(db: Database) -> list[OutboundStream]:
	"""Return the outbound streams that are on, by name, those with settings that cannot be read left out."""
	rows = stream_rows(db, "*", "`direction` = 'Out' AND `enabled` = 1")
	return [stream for row in rows if (stream := _readable(db, row))]


def _readable(db: Database, row: Mapping[str, Any]) -> OutboundStream | None:
	try:
		return OutboundStream.from_row(row, child_rows(db, "Sync Field Mapping", row["name"]))
	except ValueError:
		return None  # settings are checked on saving: it was written by hand, and the next save says so
