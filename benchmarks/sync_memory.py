"""Peak memory of a sync of 10,000 and of 1,000,000 records, each in a process of its own, on the standalone runtime.

python -m benchmarks.sync_memory
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, say, size
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync.run import run_stream

PAGE = 1000
COUNTS = (10_000, size(1_000_000, quick=50_000))
HUB = """
[connectors]
Numbers = "benchmarks.sync_memory.Numbers"

[integration.source]
connector = "Numbers"
base_url = "https://example.com"
test_path = "{count}"

[stream.records]
integration = "source"
mode = "Full"
endpoint = "/records"
stable_pages = true
deletion_policy = "Delete"
target_doctype = "Record"

[stream.records.mapping]
title = "title"
city = "city"
amount = {{ source_path = "amount", conversion = "Number" }}

[table.Record]
title = "Data"
city = "Data"
amount = "Float"
"""


class Numbers(BaseConnector):
	"""As many records as `test_path` says, made as they are asked for."""

	def pages(self, request: ListRequest) -> Iterator[Page]:
		count = int(self.config.test_path)
		for start in range(0, count, PAGE):
			records = [
				{"id": n, "title": f"Record {n}", "city": "Pune", "amount": n * 1.5}
				for n in range(start, min(start + PAGE, count))
			]
			yield Page(records, str(start), start + PAGE >= count, 0)


def measure(count: int) -> None:
	"""Load `count` records twice; print records a second, and the peak of this process in MB."""
	with tempfile.TemporaryDirectory() as folder:
		(Path(folder) / "hub.toml").write_text(HUB.format(count=count))
		with StandaloneRuntime(Path(folder) / "hub.toml") as runtime:
			started = time.perf_counter()
			first = run_stream(runtime, "records")
			again = run_stream(runtime, "records")
			seconds = time.perf_counter() - started
			assert (first["created"], again["unchanged"]) == (count, count), (first, again)
	peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
	print(f"{2 * count / seconds:,.0f} {peak:.1f}")


def main() -> None:
	figures, peaks = [], []
	for count in COUNTS:
		command = [sys.executable, "-m", "benchmarks.sync_memory", str(count)]
		said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
		peaks.append(float(said[1]))
		figures.append(Figure(f"{count:,} records, twice", float(said[0].replace(",", "")), "records/s"))
		figures.append(Figure(f"{count:,} records, peak", peaks[-1], "MB", "lower"))
	growth = Figure(f"growth from {COUNTS[0]:,} to {COUNTS[1]:,}", peaks[1] - peaks[0], "MB", "neither")
	say([*figures, growth])


if __name__ == "__main__":
	if sys.argv[1:]:
		measure(int(sys.argv[1]))
	else:
		main()
