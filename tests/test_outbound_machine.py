"""Any order of saves, deletions, renames, rollbacks, kills and lost answers ends with the system equal to the table, each
effect once."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from integration_hub.outbound.deliver import Delivering
from integration_hub.outbound.dispatch import dispatch, sweep
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY
from tests.test_outbound import HUB, KEYS, LOOKUP, errors_of, save, states

NAMES = st.sampled_from(["ada", "grace", "linus", "ken"])
CITIES = st.sampled_from(["Pune", "Kyōto", "Łódź", ""])
# Fault after the effect, and before it; «none» lets a request pass.
FAULTS = st.lists(
	st.sampled_from(["none", "none", "500", "reset", "truncate", "garbage", "500 after", "reset after"]),
	max_size=6,
)
KILLED_AT = st.sampled_from(["_begin", "_create", "_update", "_delete", "_look_up", "_bind", "_write_back"])


class Killed(BaseException):
	"""The process is gone."""


class Outbound(RuleBasedStateMachine):
	"""One table, one system, one worker that dies now and then."""

	sandbox: Sandbox
	settings_text = LOOKUP

	def __init__(self) -> None:
		super().__init__()
		os.environ["CRM_SECRET"] = API_KEY
		self.folder = tempfile.TemporaryDirectory()
		self.crm = Sandbox(customers=0)
		self.crm.__enter__()
		self.emails = 0
		self.created: set[str] = set()

	@initialize(keys=st.booleans())
	def begin(self, keys: bool) -> None:
		text = LOOKUP + (KEYS if keys else "") + '\nout_deletion = "Delete"\nout_delete_count = 1000000'
		hub = HUB % (self.crm.url, text)
		hub = hub.replace("backoff_min = 0.01", "backoff_min = 0.0\nmax_attempts = 1")
		path = Path(self.folder.name) / "hub.toml"
		path.write_text(hub)
		path.chmod(0o600)
		self.hub = StandaloneRuntime(path)

	def there(self, name: str) -> bool:
		return bool(self.hub.db.query("SELECT 1 FROM `tabPerson` WHERE `name` = %s", [name]))

	def write(self, name: str, city: str) -> None:
		if self.there(name):
			self.hub.db.execute("UPDATE `tabPerson` SET `city` = %s WHERE `name` = %s", [city, name])
			return
		self.emails += 1
		self.created.add(f"{name}{self.emails}@example.com")
		save(self.hub, name, city=city, email=f"{name}{self.emails}@example.com")

	@rule(name=NAMES, city=CITIES)
	def save(self, name: str, city: str) -> None:
		self.write(name, city)

	@rule(name=NAMES)
	def delete(self, name: str) -> None:
		self.hub.db.execute("DELETE FROM `tabPerson` WHERE `name` = %s", [name])

	@rule(old=NAMES, new=NAMES)
	def rename(self, old: str, new: str) -> None:
		if self.there(old) and not self.there(new):
			self.hub.db.execute("UPDATE `tabPerson` SET `name` = %s WHERE `name` = %s", [new, old])

	@rule(name=NAMES, city=CITIES, inner=st.booleans())
	def roll_back(self, name: str, city: str, inner: bool) -> None:
		with pytest.raises(RuntimeError), self.hub.db.transaction():
			if inner:
				with pytest.raises(RuntimeError), self.hub.db.savepoint():
					self.write(name, city)
					raise RuntimeError
			self.write(name, city)
			self.hub.db.execute("DELETE FROM `tabPerson` WHERE `name` = %s", [name])
			raise RuntimeError

	@rule(faults=FAULTS)
	def work(self, faults: list[str]) -> None:
		self.crm.faults.set(following=faults)
		self.send()
		self.crm.faults.set()

	@rule(step=KILLED_AT, faults=FAULTS)
	def work_and_die(self, step: str, faults: list[str]) -> None:
		def die(*_arguments: Any) -> None:
			raise Killed

		self.crm.faults.set(following=faults)
		with pytest.MonkeyPatch.context() as patch:
			patch.setattr(Delivering, step, die)
			with suppress(Killed):
				self.send()
		self.crm.faults.set()

	def send(self) -> None:
		self.hub.db.execute("UPDATE `tabDelivery Log` SET `next_attempt_at` = %s", [self.hub.now()])
		for integration in sweep(self.hub):
			dispatch(self.hub, integration)

	@invariant()
	def each_record_was_made_once(self) -> None:
		people = self.crm.receive("people")
		assert people.counts.created <= len(self.created)
		emails = [one["email"] for one in people.all().values()]
		assert len(emails) == len(set(emails)), emails

	def teardown(self) -> None:
		if hasattr(self, "hub"):
			for _number in range(6):
				self.send()
			rows = self.hub.db.query("SELECT * FROM `tabPerson`")
			table = {row["email"]: (row["full_name"], row["city"] or None) for row in rows}
			found = {
				one["email"]: (one["name"], one["address"]["city"])
				for one in self.crm.receive("people").all().values()
			}
			said = (states(self.hub), errors_of(self.hub))
			self.hub.close()
			self.crm.stop()
			self.folder.cleanup()
			assert found == table, said
			return
		self.crm.stop()


TestOutbound = Outbound.TestCase
TestOutbound.settings = settings(
	max_examples=300 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 6, stateful_step_count=15
)
