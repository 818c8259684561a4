"""REST into SQLite, whole processes: ours without a bench, and dlt in its best configuration.

python -m benchmarks.peers_standalone; dlt gets an environment of its own in a temporary folder (or HUB_BENCHMARK_DLT: a
Python that has it).
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from benchmarks.connectors import sandbox_process
from benchmarks.dlt_peer import DATASET, PAGE, Dlt, race, run
from benchmarks.figures import say, size
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox.access import API_KEY
from integration_hub.sandbox.example import FIELDS
from integration_hub.sync.run import run_stream

COUNT = size(20_000, quick=2000)
HUB = """
[hub]
allowed_hosts = ["127.0.0.1:*"]

[integration.crm]
base_url = "{url}"
auth_type = "API Key Header"
api_key_name = "X-API-Key"
secret = "env:HUB_BENCHMARK_KEY"

[stream.peer]
integration = "crm"
mode = "Full"
endpoint = "/v1/customers/page"
records_path = "data"
updated_at_path = "updated_at"
pagination = "Page Number"
page_size = {page}
more_path = "has_more"
target_doctype = "Customer"

[stream.peer.mapping]
{mapping}

[table.Customer]
{columns}
"""


class Ours:
	"""A Full stream, run by the command line."""

	name = "ours"

	def __init__(self, folder: Path, url: str):
		self._hub, self._file = folder / "hub.toml", folder / "hub.db"
		mapping = "\n".join(f'{ours} = "{theirs}"' for ours, theirs in FIELDS.items())
		columns = "\n".join(f'{field} = "Data"' for field in FIELDS)
		self._hub.write_text(HUB.format(url=url, page=PAGE, mapping=mapping, columns=columns))

	def clear(self) -> None:
		_remove(self._file)

	def load(self) -> None:
		code = "from integration_hub.commands import main; main()"
		run([sys.executable, "-c", code, "--config", str(self._hub), "sync", "peer"])

	def load_here(self) -> None:
		with StandaloneRuntime(self._hub) as runtime:
			assert run_stream(runtime, "peer")["status"] == "Completed"

	def count(self) -> int:
		return _count(self._file, "tabCustomer")


def _count(file: Path, table: str) -> int:
	connection = sqlite3.connect(file)
	try:
		return connection.execute(f"SELECT COUNT(*) FROM `{table}`").fetchone()[0]
	finally:
		connection.close()


def _remove(file: Path) -> None:
	for end in ("", "-wal", "-shm"):
		with suppress(FileNotFoundError):
			os.remove(f"{file}{end}")


def main() -> None:
	os.environ["HUB_BENCHMARK_KEY"] = API_KEY
	with tempfile.TemporaryDirectory() as name, sandbox_process(0, COUNT) as url:
		folder = Path(name)
		files = [folder / f"peer__{dataset}.db" for dataset in (DATASET, f"{DATASET}_staging")]
		dlt = Dlt(
			folder,
			url,
			f"sqlite:///{folder / 'peer.db'}",
			drop=lambda: [_remove(file) for file in (folder / "peer.db", *files)],
			count=lambda: _count(files[0], "customer"),
		)
		say(list(race(Ours(folder, url), dlt, url, COUNT)))


if __name__ == "__main__":
	main()
