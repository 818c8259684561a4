"""Singer taps of PyPI as sources: tap-jsonl over files, tap-rest-api-msdk over a server of json-like lists."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync.run import run_stream
from tests_servers.packages import pypi

HUB = """
[taps.things]
command = ["{program}"]
config = "tap.json"

[integration.source]
connector = "Singer"
base_url = "tap:things"

[stream.things]
integration = "source"
endpoint = "things"
target_doctype = "Thing"

[stream.things.mapping]
thing = "id"
title = "title"

[table.Thing]
thing = "Data"
title = "Data"
"""
THINGS = [{"id": n, "title": f"Größe {n}"} for n in range(1, 31)]


def _synced(folder: Path, program: Path, config: dict) -> dict[str, str]:
	(folder / "tap.json").write_text(json.dumps(config))
	(folder / "hub.toml").write_text(HUB.format(program=program))
	with StandaloneRuntime(folder / "hub.toml") as runtime:
		run = run_stream(runtime, "things")
		assert run["status"] == "Completed", run["error"]
		rows = runtime.db.query("SELECT `thing`, `title` FROM `tabThing`")
		return {row["thing"]: row["title"] for row in rows}


WANTED = {str(one["id"]): one["title"] for one in THINGS}


def test_tap_jsonl(tmp_path: Path) -> None:
	program = pypi("tap-jsonl", "tap-jsonl") / "tap-jsonl"
	(tmp_path / "things.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in THINGS))
	config = {"path": str(tmp_path / "things.jsonl"), "stream_name": "things", "primary_keys": ["id"]}
	assert _synced(tmp_path, program, config) == WANTED


def test_tap_rest_api_msdk(tmp_path: Path) -> None:
	# Its genson and fs packages still import pkg_resources.
	program = pypi("tap-rest-api-msdk", "tap-rest-api-msdk", "setuptools<80") / "tap-rest-api-msdk"
	server = ThreadingHTTPServer(("127.0.0.1", 0), _Things)
	threading.Thread(target=server.serve_forever, daemon=True).start()
	config = {
		"api_url": f"http://127.0.0.1:{server.server_port}",
		"streams": [
			{
				"name": "things",
				"path": "/things",
				"records_path": "$.data[*]",
				"primary_keys": ["id"],
				"num_inference_records": 5,
			}
		],
	}
	try:
		assert _synced(tmp_path, program, config) == WANTED
	finally:
		server.shutdown()
		server.server_close()


class _Things(BaseHTTPRequestHandler):
	def do_GET(self) -> None:
		body = json.dumps({"data": THINGS}).encode()
		self.send_response(200)
		self.send_header("Content-Type", "application/json")
		self.send_header("Content-Length", str(len(body)))
		self.end_headers()
		self.wfile.write(body)

	def log_message(self, *args: object) -> None:
		pass
