"""The interface between the engine and its runtime: a Frappe site, or one SQLite file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from integration_hub.stores.database import Database
from integration_hub.stores.fields import Fields


class HubError(Exception):
	"""A fault that a person has to put right. `doctype`, `name` and `field` say where; the text says what."""

	def __init__(self, message: str, *, doctype: str = "", name: str = "", field: str = "") -> None:
		self.doctype, self.name, self.field = doctype, name, field
		self.message = message
		where = " ".join(part for part in (doctype, name) if part)
		place = ", ".join(part for part in (where, field) if part)
		# No colon: what stands behind «secret:» is masked wherever it is shown.
		super().__init__(f"{place} – {message}" if place else message)


class ReadRefused(Exception):
	"""The user that an integration runs as may not read what is to be sent. The text names document or field."""


SUBMIT, CANCEL = "submit", "cancel"


@dataclass(slots=True)
class Change:
	"""One record to write: `name` is the local document, None for a new one.

	A child table's value is the list of all its rows. kept: fields that must hold their value afterwards, or the
	document is not written: a controller may set one back. only_blank: fields that are set only where they are blank.
	state: SUBMIT or CANCEL if the document is to be that afterwards, in the same transaction. on_submitted: what to
	do with a change that a submitted document does not take (see sync.after_writing). mapper, origin: what makes a new
	document, and of which one, as (DocType, name).
	"""

	external_id: str
	name: str | None
	values: dict[str, Any]
	kept: Sequence[str] = ()
	only_blank: Sequence[str] = ()
	state: str = ""
	on_submitted: str = "Fail"
	mapper: str = ""
	origin: tuple[str, str] = ("", "")


@dataclass(slots=True)
class Written:
	"""The outcome of a Change: the document's name, or the error that kept it from being written.

	same: the document was as the change would have it. overruled: fields in which it holds something else than the
	change, after it was written: a controller decides there.
	"""

	name: str | None
	error: Exception | None = None
	same: bool = False
	overruled: Sequence[str] = ()


@dataclass(slots=True)
class Foreseen:
	"""The outcome of a Change, foretold without writing it.

	changes: the fields it would set, with the value now and then; of a child table, the rows that are other.
	error: why it would fail, as far as that can be known. doubt: what may fail, which only writing decides.
	"""

	changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
	error: Exception | None = None
	doubt: str = ""


class LeftAsItIs(Exception):
	"""A document that cannot become what its record wants: said once, and not tried again until the record changes."""


class CancelledDocument(LeftAsItIs):
	"""A document that takes no change any more, and never will: it was cancelled."""


class NotKept(Exception):
	"""A value that was written and is not there afterwards: a controller has set it back."""


class Target(Protocol):
	"""The writer of one DocType's records, called within the transaction of a page."""

	doctype: str
	at_once: int  # how many are written between two looks at the clock

	def fields(self) -> Fields:
		"""Return the fields that can be written; empty if the DocType does not exist."""

	def find(self, field: str, values: Sequence[Any]) -> dict[str, str]:
		"""Return {value: name} of the documents that have one of `values` in `field`."""

	def write(self, changes: Sequence[Change]) -> list[Written]:
		"""Write each change or undo it whole; one outcome a change, in order."""

	def values(self, names: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
		"""Return what documents hold now, by name; in a child table's field, the list of its rows."""

	def existing(self, doctype: str, names: Sequence[str]) -> set[str]:
		"""Return those of `names` that a DocType has, for links to them."""

	def foresee(self, changes: Sequence[Change], eyes: Target, user: str) -> list[Foreseen]:
		"""Foretell what `write` would do, and write nothing; one outcome a change, in order.

		eyes: finds what links lead to, as far as the person who looks may know. user: as whom a run writes.
		"""

	def foresee_removal(self, names: Sequence[str], user: str) -> dict[str, Foreseen]:
		"""Foretell what `delete` would refuse, and delete nothing; by name, without those that may go.

		With a doubt, the error may still be put right by code that only a deletion runs. user: as whom a run deletes.
		"""

	def unforeseen(self) -> str:
		"""Return a sentence for what `foresee` cannot know of this DocType, "" if there is nothing."""

	def submit_problem(self) -> str:
		"""Return why documents cannot be submitted and cancelled, "" if they can."""

	def mapper_problem(self, mapper: str) -> str:
		"""Return why a function, by its dotted path, cannot make documents from others, "" if it can."""

	def cancel(self, names: Sequence[str]) -> dict[str, Exception]:
		"""Cancel submitted documents, and comment on drafts; return the errors by the names of those that stay."""

	def delete(self, names: Sequence[str]) -> dict[str, Exception]:
		"""Delete documents; return the errors by the names of those that stay. One that is gone already is no error."""

	def set_value(self, names: Sequence[str], field: str, value: Any) -> dict[str, Exception]:
		"""Set one field of documents; return the errors by the names of those it could not be set of."""


class Runtime(Protocol):
	"""The services that the engine needs of what it runs in: a Frappe site, or a standalone process."""

	db: Database

	@property
	def identity(self) -> str:
		"""Return a text that tells this runtime from others in the same process."""

	@property
	def zone(self) -> str:
		"""Return the name of the time zone that times are stored in."""

	def now(self, ahead: float = 0) -> str:
		"""Return the time `ahead` seconds from now as the database stores it."""

	def local_time(self, moment: Any) -> str:
		"""Return an aware datetime as the database stores it, in the runtime's time zone."""

	def lock(self, name: str) -> AbstractContextManager[bool]:
		"""Try to take a lock that dies with its owner; the block gets True if it was free."""

	def integration(self, name: str) -> Any:
		"""Return the IntegrationConfig; raises HubError if there is none."""

	def settings_stamp(self, integration: str) -> str:
		"""Return a text that changes with an integration's settings, secrets and routes; "" if none may be kept."""

	def secrets(self, integration: str) -> Any:
		"""Return the integration's secrets (see connectors.secrets.Secrets)."""

	def connector(self, integration: str) -> Any:
		"""Return a connector, to be closed by the caller."""

	def target(self, doctype: str, mode: str, as_is: Iterable[str] = ()) -> Target:
		"""Return the writer for a DocType. mode: Documents or Bulk.

		as_is: fields whose text Bulk stores as it comes, `table.field` in a child table; a site cleans all others.
		"""

	def title_field(self, doctype: str) -> str:
		"""Return the field by which people know documents of a DocType, "" where it names none."""

	def seen(self, doctype: str, names: set[str]) -> set[str]:
		"""Return those of some documents that may be named: all, but for a person who looks and may not read them."""

	def is_new(self, stream: str) -> bool:
		"""Tell whether a stream is off because nobody has switched it on yet, and not because somebody switched it off."""

	def handlers(self) -> Mapping[str, str]:
		"""Return the registered webhook handler functions: name → dotted path."""

	def transforms(self) -> Mapping[str, str]:
		"""Return the registered functions of the mapping's conversion Python: name → dotted path."""

	def schemes(self) -> Mapping[str, str]:
		"""Return the registered signature schemes: name → dotted path."""

	def as_user(self, user: str) -> AbstractContextManager[None]:
		"""Do the block as `user`; the runtime's own identity if empty."""

	def enqueue_sync(self, stream: str, trigger: str) -> None:
		"""Have a worker run a stream, once if it is asked twice."""

	def enqueue_drain(self, integration: str, number: int = 0) -> None:
		"""Have a worker drain the inbox of an integration, once if it is asked twice for the same `number`.

		0 is for who has stored an event; the sweep has numbers of its own.
		"""

	def enqueue_dispatch(self, integration: str, number: int = 0) -> None:
		"""Have a worker send what an integration's outbox has, once if it is asked twice for the same `number`.

		0 is for who has made a change; the sweep has numbers of its own.
		"""

	def read_document(self, doctype: str, name: str) -> dict[str, Any] | None:
		"""Return a document as it is now, with the rows of its child tables, its values as JSON has them; None if there
		is none. Passwords are left out."""

	def check_read(
		self, integration: str, doctype: str, document: Mapping[str, Any], paths: Sequence[str]
	) -> None:
		"""Raise ReadRefused unless the user that an integration runs as may read a document and some of its fields.

		paths: the fields, those of child tables as `table.field`.
		"""

	def write_back(self, doctype: str, name: str, values: Mapping[str, Any]) -> None:
		"""Set fields of a document within the current transaction; no hook runs, and no change is noted."""

	def run_script(self, name: str, args: Mapping[str, Any]) -> None:
		"""Run a script a person wrote on the site, with the names in `args`; raises HubError if it may not run."""

	def allowed_hosts(self) -> list[str]:
		"""Return the hosts of private networks that may be called (see connectors.ssrf_guard)."""

	def warnings(self) -> list[str]:
		"""Return sentences for an operator about what keeps the runtime from working by itself."""

	def external_redis_url(self) -> str:
		"""Return the URL of a Redis that all integrations may use, "" if none is set."""

	def reconnect(self) -> None:
		"""Begin with a new database connection, where the old one may be broken."""

	def log_days(self) -> Mapping[str, int]:
		"""Return for how many days settled rows are kept, by log; nothing for those that something else clears."""

	def owner(self) -> str:
		"""Return who creates rows here (a user)."""

	def events_ended(self, integration: str) -> None:
		"""Take notice that a batch of an integration's events has been handled."""

	def progress(self, run: Mapping[str, Any]) -> None:
		"""Take notice of a running sync's counts: after each page, and before it waits for something."""
