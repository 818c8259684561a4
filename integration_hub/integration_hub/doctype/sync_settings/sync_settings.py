import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.install import MODULE
from integration_hub.integration_hub import run_as
from integration_hub.integration_hub.field_permissions import readable_fields
from integration_hub.integration_hub.outbound_settings import send_refused_again, validate_outbound
from integration_hub.integration_hub.settings import keep_rows, keep_state, refuse
from integration_hub.outbound.checks import number_problems
from integration_hub.runtime.frappe import FrappeRuntime, outbox_rows
from integration_hub.runtime.frappe.bulk_rules import bulk_problem, not_told
from integration_hub.runtime.frappe.documents import not_in_bulk
from integration_hub.runtime.frappe.write_permissions import level_sentence, refused_levels
from integration_hub.stores.bindings import count_live, forget
from integration_hub.stores.failure_closing import close_stream
from integration_hub.stores.fields import Fields
from integration_hub.stores.runs import close_abandoned
from integration_hub.stores.runtime import HubError
from integration_hub.stores.stream_renames import move_bindings, move_links
from integration_hub.sync.config import StreamConfig, moved
from integration_hub.sync.link_conversions import lookups
from integration_hub.sync.stream_checks import stream_context, stream_problems

STATE = (
	"status",
	"consecutive_failures",
	"checkpoint",
	"next_run_at",
	"last_run_at",
	"last_success_at",
	"last_duration",
	"last_status",
	"last_outcome",
	"has_failed",
	"resume",
	"run_number",
	"wanted",
	"scan_state",
)


class SyncSettings(Document):
	"""One stream of one external system."""

	def validate(self) -> None:
		"""Refuse settings that a run could not work with, naming the field."""
		keep_state(self, STATE)
		keep_rows(self, "mapping")
		if self.direction == "Out":
			validate_outbound(self)
			return
		stream = self.config()
		try:
			runtime = FrappeRuntime()
			fields = runtime.target(stream.target_doctype, stream.write_mode).fields()
		except HubError as error:
			refuse(self, "target_doctype", error.message)
		if fields:
			self.check_target()
		problems = stream_problems(stream, fields, stream_context(runtime))
		for field, sentence in (*number_problems(self.as_dict()), *problems):
			refuse(self, field, sentence)
		run_as.check_stream(self)
		self.check_lookups(stream, fields)
		self.keep_target()
		self.start_over_if_moved()
		self.warn_of_doubles()

	def on_update(self) -> None:
		"""Have the next save of a document look for outbound streams, and send what was refused under other settings."""
		outbox_rows.forget_watched()
		frappe.db.after_commit.add(outbox_rows.forget_watched)
		if self.direction == "Out":
			send_refused_again(self)

	def warn_of_doubles(self) -> None:
		"""Warn of another stream with the same target, if nothing matches the documents of the two."""
		filters = {"target_doctype": self.target_doctype, "name": ["!=", self.stream_name]}
		other = not self.match_field and frappe.db.get_value("Sync Settings", filters)
		if other and (self.is_new() or self.has_value_changed("target_doctype")):
			frappe.msgprint(
				_("{0} writes {1} too. Without a Match Field, each creates its own documents.").format(
					frappe.bold(other), frappe.bold(self.target_doctype)
				),
				title=_("Documents May Be Duplicated"),
				indicator="orange",
			)

	def check_target(self) -> None:
		"""Refuse a target that its author may not write, or one of the hub's own DocTypes."""
		if frappe.get_meta(self.target_doctype).module == MODULE:
			refuse(self, "target_doctype", f"{self.target_doctype} is not written this way")
		kinds = ["create", "write"] + (["delete"] if self.deletion_policy == "Delete" else [])
		kinds += ["submit"] if self.after_writing == "Submit" else []
		cancels = self.cancel_when or self.deletion_policy == "Cancel"
		kinds += ["cancel"] if cancels or self.submitted_documents == "Amend" else []
		kinds += ["amend"] if self.submitted_documents == "Amend" else []
		for kind in kinds:
			if not frappe.has_permission(self.target_doctype, kind):
				refuse(self, "target_doctype", f"you may not {kind} {self.target_doctype}")
		self.check_levels()
		if self.write_mode == "Bulk":
			self.check_bulk()

	def check_levels(self) -> None:
		"""Refuse a field that the author, or who the integration runs as, may not write: Frappe drops it unsaid."""
		runs_as = frappe.db.get_value("Integration Settings", self.integration, "run_as_user")
		disabled = [self.disable_field] if self.deletion_policy == "Disable" and self.disable_field else []
		for user in dict.fromkeys((frappe.session.user, runs_as or "Administrator")):
			paths = [*(row.field or "" for row in self.mapping), *disabled]
			for path, level in refused_levels(self.target_doctype, paths, user):
				text = level_sentence(self.target_doctype, path, level, user)
				refuse(self, "disable_field" if path in disabled else "mapping", text)

	def check_bulk(self) -> None:
		"""Refuse Bulk for a DocType it cannot write; name the hooks and scripts that it would not run."""
		fields = {row.field for row in self.mapping if row.conversion == "Rows"}
		tables = [
			df.fieldname
			for df in frappe.get_meta(self.target_doctype).get_table_fields()
			if df.fieldname in fields
		]
		if problem := bulk_problem(self.target_doctype, tables):
			refuse(self, "write_mode", f"{self.target_doctype} {not_in_bulk(problem)}")
		unheard = not_told(self.target_doctype)
		if unheard and (self.is_new() or self.has_value_changed("write_mode")):
			frappe.msgprint(
				_("Bulk runs none of these for {0}: {1}").format(
					frappe.bold(self.target_doctype), ", ".join(unheard)
				),
				title=_("Not Run by Bulk"),
				indicator="orange",
			)

	def check_lookups(self, stream: StreamConfig, fields: Fields) -> None:
		"""Refuse to look documents up by fields that the author may not read: what is found tells what stands there."""
		if next(run_as.decisions(self), None) is None:
			return
		wanted = [("match_field", self.target_doctype, field) for field in stream.match_fields]
		wanted += [("mapping", row.doctype, row.by) for row in lookups(stream, fields) if not row.stream]
		streams = [row.stream for row in lookups(stream, fields) if row.stream]
		for other in [*streams, *filter(None, [stream.made_from])]:
			if not frappe.has_permission(self.doctype, "read", other):
				refuse(self, "mapping", f"you may not read {self.doctype} {other}")
		for place, doctype, field in wanted:
			if not (frappe.has_permission(doctype, "read") and field in readable_fields(doctype)):
				refuse(self, place, f"you may not read {field} of {doctype}")

	def keep_target(self) -> None:
		"""Refuse another target while records are bound to documents of the one before."""
		if self.is_new() or not self.has_value_changed("target_doctype"):
			return
		if bound := count_live(FrappeRuntime().db, self.name):
			refuse(
				self,
				"target_doctype",
				f"{bound} documents are bound already; make another stream for another DocType",
			)

	def config(self) -> StreamConfig:
		"""Return the settings as the engine reads them."""
		row = {**self.as_dict(), "name": self.stream_name}
		try:
			return StreamConfig.from_row(row, [item.as_dict() for item in self.mapping])
		except ValueError as error:
			refuse(self, "", str(error))

	def start_over_if_moved(self) -> None:
		"""Drop a checkpoint of another source or mode, to which alone it means something."""
		before = self.get_doc_before_save()
		if not before:
			return
		if moved(before.as_dict(), self.as_dict()) and (self.checkpoint or self.resume):
			self.checkpoint = self.resume = None
			frappe.msgprint(_("The source changed: the checkpoint was reset."), alert=True)
		if any(
			self.get(f) != before.get(f) for f in ("schedule", "interval_minutes", "cron", "mode", "enabled")
		):
			self.next_run_at = None

	def on_trash(self) -> None:
		"""Refuse to delete a stream that a route uses; delete its bindings and close its failures."""
		run_as.check_removal(self, self.integration)
		route = frappe.db.get_value("Webhook Route", {"stream": self.name}, "parent")
		if route:
			frappe.throw(
				_("A route of {0} uses this stream. Remove the route first.").format(route),
				frappe.LinkExistsError,
			)
		self.check_rest()
		outbox_rows.forget_watched()
		forget(FrappeRuntime().db, self.name)
		close_stream(FrappeRuntime(), self.name)

	def before_rename(self, old: str, new: str, merge: bool = False) -> None:
		"""Refuse to rename onto another stream, or while a run goes on under the old name."""
		run_as.check_removal(self, self.integration)
		if merge:
			frappe.throw(_("Two streams cannot be merged."), title=_("Not Renamed"))
		with FrappeRuntime().lock(f"sync:{old}") as free:
			if not free:
				frappe.throw(
					_("{0} {1} is running. Wait for the end of the run, then rename it.").format(
						_(self.doctype), frappe.bold(old)
					),
					title=_("Not Renamed"),
				)

	def after_rename(self, old: str, new: str, merge: bool = False) -> None:
		"""Rename the bindings, and the stream in other streams' mappings; Frappe renames the links only."""
		db = FrappeRuntime().db
		move_bindings(db, old, new)
		move_links(db, old, new)

	def check_rest(self) -> None:
		"""Refuse to delete a stream during a run: that would find nothing bound, and make each document once more."""
		runtime = FrappeRuntime()
		with runtime.lock(f"sync:{self.name}") as free:
			if not free:
				frappe.throw(
					_("{0} {1} is running. Wait for the end of the run, then delete it.").format(
						_(self.doctype), frappe.bold(self.name)
					),
					title=_("Not Deleted"),
				)
			# A run that begins from now on waits for the end of this transaction, and then finds no stream.
			frappe.db.get_value(self.doctype, self.name, "name", for_update=True)
			close_abandoned(
				runtime, self.name
			)  # if its process is gone; what might be left of it commits no more
