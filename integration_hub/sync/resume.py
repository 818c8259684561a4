"""Resumption of a fetch that did not come to its end.

A run that the source put off goes on at its page: without this, a long list behind a small quota never ends. So does one
that was asked to stop, or killed, at the page that was last noted: without this, a long first load may never end.
A fetch of a whole change feed keeps the mark of what it has met, over as many runs as it takes.
"""

from __future__ import annotations

import json
from dataclasses import astuple

from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.ids import content_hash
from integration_hub.stores.runs import Run
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.seen_marks import Mark
from integration_hub.stores.settings import settings_row
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.modes import Full

DOCTYPE = "Sync Settings"


def leave_off(runtime: Runtime, stream: StreamConfig, run: Run, mode: Full) -> None:
	"""Keep, for the next run, how far this one came; nothing if it came nowhere."""
	# In a list that is counted off, what left it during the pause moves others past the mark: the second pass at
	# it, or a full run's next fetch, meets them.
	if mode.resumable and (mode.resumed or mode.again):
		_keep(runtime, stream, run, mode, mode.resumed)


def keep_whole(runtime: Runtime, stream: StreamConfig, run: Run, mode: Full) -> None:
	"""Keep that this fetch of a change feed began at its beginning: the cursor will not say so."""
	if stream.mode == "Cursor" and mode.finds_orphans:
		_keep(runtime, stream, run, mode, "")


def resume(runtime: Runtime, stream: StreamConfig, run: Run, mode: Full) -> None:
	"""Go on where an earlier run left off, if it asked the same source for the same list."""
	try:
		left = json.loads(settings_row(runtime.db, DOCTYPE, stream.name)["resume"] or "{}")
	except ValueError:
		return  # a column that Frappe added to a SQLite table holds the text «None»
	if not mode.scheduled or left.get("source") != _source(stream):
		return
	if "number" not in left:  # that run marked the records it had met in another way
		if left.get("whole", mode.whole):
			mode.begin_again()
		return
	mode.resumed, mode.watermark = left["state"], left["watermark"]
	run.mark = Mark(left["seen"], left["number"])
	mode.whole, mode.again = left.get("whole", mode.whole), left.get("again", False)
	mode.pages_read, mode.met = left.get("walked", 0), left.get("met", 0)
	mode.passed = (left.get("passed_pages", 0), left.get("passed", 0))
	run.unidentified = left.get("unidentified", 0)
	mode.parts.go_on(left.get("parts", {}))
	mode.went_on = True


def _keep(runtime: Runtime, stream: StreamConfig, run: Run, mode: Full, state: str) -> None:
	left = {
		"source": _source(stream),
		"state": state,
		"seen": run.mark.by,
		"number": run.mark.number,
		"watermark": mode.watermark,
		"whole": mode.whole,
		"again": mode.again,
		"walked": mode.pages_read,
		"met": mode.met,
		"passed_pages": mode.passed[0],
		"passed": mode.passed[1],
		"unidentified": run.unidentified,
		"parts": mode.parts.keep(),
	}
	in_transaction(runtime.db, lambda: update(runtime.db, DOCTYPE, stream.name, {"resume": json.dumps(left)}))


def _lists(stream: StreamConfig) -> tuple[str, ...]:
	"""Return what says which lists a stream has."""
	return (
		stream.parent_stream,
		stream.parent_source,
		stream.slice_values,
		stream.window,
		stream.window_start,
		stream.window_end,
	)


def _source(stream: StreamConfig) -> str:
	request = stream.list_request(since=stream.checkpoint if stream.mode == "Incremental" else "")
	asked = [stream.integration, stream.mode, vars(request), stream.flatten_path, *_lists(stream)]
	if stream.mode != "Cursor":  # what was written otherwise than it would be now is fetched again
		asked += [stream.record_filter, stream.deleted_path, [astuple(row) for row in stream.mapping]]
	return content_hash(asked)
