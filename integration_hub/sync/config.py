"""The settings of one stream, as the engine reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.connectors.config import IntegrationConfig, typed_values
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.request_template import RequestTemplate
from integration_hub.stores.database import Database
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.stores.settings import child_rows, settings_row

_STATUS = re.compile(r"[1-5]\d\d", re.ASCII)
MODES = ("Full", "Incremental", "Cursor")
DEFAULT_MINUTES = {"Full": 24 * 60, "Incremental": 60, "Cursor": 5}


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
	"""Tell whether a stream now asks another source: a checkpoint means something only to the one it is of."""
	return any((before.get(f) or "") != (after.get(f) or "") for f in ("integration", "mode", "endpoint"))


class Unreadable(HubError):
	"""Settings that exist and cannot be read."""


def statuses(text: str) -> tuple[int, ...]:
	"""Return HTTP statuses written with commas or spaces between; what is none is left out."""
	return tuple(int(part) for part in text.replace(",", " ").split() if _STATUS.fullmatch(part))


def integration_config(db: Database, name: str) -> IntegrationConfig:
	"""Return an integration's settings; raises HubError if there are none, Unreadable if they cannot be read."""
	row = settings_row(db, "Integration Settings", name)
	try:
		return IntegrationConfig.from_row({**row, "answer_rules": child_rows(db, "Answer Rule", name)})
	except ValueError as error:
		raise Unreadable(str(error), doctype="Integration Settings", name=name) from None


@dataclass(frozen=True)
class FieldMapping:
	"""One row of the mapping: source path → target field."""

	source_path: str = ""
	field: str = ""
	conversion: str = ""
	argument: str = ""
	default_value: str = ""
	required: bool = False
	as_is: bool = False
	only: str = ""
	if_not_found: str = ""


def stream_values(cls: type, row: Mapping[str, Any], mapping: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
	"""Return the settings of a stream, of either direction, typed as its class has them.

	Empty values are left out, for their defaults. Raises ValueError naming the field that cannot be read.
	"""
	rows = tuple(FieldMapping(**typed_values(FieldMapping, item)) for item in mapping)
	return {**typed_values(cls, row), "mapping": rows}


@dataclass(frozen=True)
class StreamConfig:
	"""One Sync Settings document. Field names are the document's; `checkpoint` is where it stands."""

	name: str
	enabled: bool = False
	integration: str = ""
	direction: str = "In"
	mode: str = "Full"
	endpoint: str = ""
	method: str = "GET"
	headers: str = ""
	body_format: str = ""
	body: str = ""
	variables: str = ""
	parent_stream: str = ""
	parent_source: str = "API"
	parent_changed_only: bool = False
	slice_values: str = ""
	window: str = ""
	window_start: str = ""
	window_end: str = ""
	flatten_path: str = ""
	record_endpoint: str = ""
	record_answer_path: str = ""
	fetch_details: bool = False
	detail_key: str = ""
	detail_missing: str = "Skip"
	params: str = ""
	records_path: str = ""
	records_optional: bool = False
	response_format: str = ""
	response_compression: str = ""
	response_charset: str = ""
	csv_delimiter: str = ""
	csv_columns: str = ""
	record_filter: str = ""
	skip_when: str = ""
	id_path: str = "id"
	updated_at_path: str = ""
	updated_at_format: str = ""
	time_zone: str = ""
	time_precision: str = ""
	since_exclusive: bool = False
	until_exclusive: bool = False
	deleted_path: str = ""
	pagination: str = "None"
	page_size: int = 100
	page_size_param: str = "limit"
	page_param: str = ""
	cursor_path: str = ""
	more_path: str = ""
	first_page: int = 1
	first_page_unsent: bool = False
	total_path: str = ""
	pages_path: str = ""
	short_page_ends: bool = False
	end_statuses: str = ""
	delta_path: str = ""
	restart_key: str = ""
	restart_param: str = ""
	restart_after: int = 0
	restart_pages: int = 0
	restart_statuses: str = ""
	stable_pages: bool = False
	lanes: int = 1
	changed_since_param: str = "modified_since"
	changed_until_param: str = ""
	overlap_seconds: int = 60
	ordered: bool = False
	expired_status: int = 410
	cursor_lists_all: bool = False
	target_doctype: str = ""
	write_mode: str = "Documents"
	writes: str = "Create and Update"
	match_field: str = ""
	match_more: str = ""
	cancelled_documents: str = "Report Once"
	mapper: str = ""
	made_from: str = ""
	made_from_id: str = ""
	after_writing: str = "Leave as Draft"
	submit_when: str = ""
	cancel_when: str = ""
	submitted_documents: str = "Fail"
	deletion_policy: str = "Keep"
	disable_field: str = ""
	disable_value: str = "1"
	enable_value: str = ""
	max_delete_count: int = 5
	max_delete_percent: int = 10
	schedule: str = "Default"
	interval_minutes: int = 0
	cron: str = ""
	alert_after: int = 3
	checkpoint: str = ""
	mapping: tuple[FieldMapping, ...] = ()

	@classmethod
	def from_row(cls, row: Mapping[str, Any], mapping: Sequence[Mapping[str, Any]]) -> StreamConfig:
		"""Read a row and its mapping rows: empty values give the default, numbers are converted."""
		return cls(**stream_values(cls, row, mapping))

	@property
	def as_is(self) -> frozenset[str]:
		"""Return the fields whose text Bulk stores as it comes."""
		return frozenset(row.field for row in self.mapping if row.as_is)

	@property
	def match_fields(self) -> tuple[str, ...]:
		"""Return the fields by which a document that is there already is known, all of them together."""
		more = self.match_more.replace(",", " ").split() if self.match_field else []
		return tuple(dict.fromkeys(filter(None, (self.match_field, *more))))

	@property
	def value_of_returned(self) -> str | int:
		"""Return the value that the disable field gets when a record is in the source again."""
		return self.enable_value or {"1": 0, "0": 1}.get(self.disable_value, "")

	@property
	def has_many_lists(self) -> bool:
		"""Tell whether the stream is fetched as several lists: then no page's times say that all before it came."""
		return bool(self.parent_stream or self.slice_values.strip() or self.window)

	def uses(self, placeholder: str) -> bool:
		"""Tell whether a placeholder stands in the stream's requests. False also for a request that cannot be read."""
		try:
			return RequestTemplate.read(self.list_request()).uses(placeholder)
		except ConfigurationError:
			return False

	@property
	def says_since(self) -> bool:
		"""Tell whether the request itself has a place for the time since when changes are wanted."""
		return self.uses("since")

	@property
	def query(self) -> dict[str, str | list[str]]:
		"""Return the query parameters of `params`, one `name=value` a line; a repeated name has a list of values."""
		found: dict[str, list[str]] = {}
		for line in self.params.splitlines():
			name, equals, value = line.strip().partition("=")
			if equals:
				found.setdefault(name, []).append(value)
		return {name: values if len(values) > 1 else values[0] for name, values in found.items()}

	@property
	def _paging_query(self) -> dict[str, str | list[str]]:
		"""Return the query parameters, with that of the key that a long list begins again at."""
		named = {self.restart_param: "{last_key}"} if self.restart_key and self.restart_param else {}
		return {**self.query, **named}

	def list_request(
		self, *, state: str = "", since: str = "", until: str = "", passed: tuple[int, int] | None = None
	) -> ListRequest:
		"""Return what to ask a connector for: from `state` on, or what changed from `since` to `until`.

		passed: how many pages and records came before `state`, if that is known.
		"""
		options = (
			*("page_size", "page_size_param", "page_param", "cursor_path", "more_path", "delta_path"),
			*("first_page", "first_page_unsent", "total_path", "pages_path", "short_page_ends"),
		)
		return ListRequest(
			endpoint=self.endpoint,
			method=self.method,
			headers=self.headers,
			body_format=self.body_format,
			body=self.body,
			variables=self.variables,
			params=self._paging_query,
			records_path=self.records_path,
			records_optional=self.records_optional,
			response={
				"kind": self.response_format,
				"compression": self.response_compression,
				"charset": self.response_charset.strip(),
				"delimiter": self.csv_delimiter,
				"columns": self.csv_columns,
			},
			pagination={"kind": self.pagination, **{name: getattr(self, name) for name in options}},
			state=state,
			since=since,
			since_param=self.changed_since_param,
			until=until,
			until_param=self.changed_until_param,
			by_time=self.mode == "Incremental" or bool(until),
			with_deletions=self.mode != "Full" and bool(self.deleted_path),
			lanes=self.lanes,
			passed=passed,
			id_path=self.id_path,
			end_statuses=statuses(self.end_statuses),
			time_zone=self.time_zone.strip(),
			time_precision=self.time_precision,
			since_exclusive=self.since_exclusive,
			until_exclusive=self.until_exclusive,
		)


def load_stream(runtime: Runtime, name: str) -> StreamConfig:
	"""Return a stream's settings; raises HubError if there are none or they cannot be read."""
	row = settings_row(runtime.db, "Sync Settings", name)
	try:
		return StreamConfig.from_row(row, child_rows(runtime.db, "Sync Field Mapping", name))
	except ValueError as error:
		raise HubError(str(error), doctype="Sync Settings", name=name) from None
