"""A Singer tap that does what its first argument says, in the ways in which taps misbehave."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def say(**message: object) -> None:
	print(json.dumps(message), flush=True)


def record(n: int, stream: str = "things", **more: object) -> None:
	say(type="RECORD", stream=stream, record={"id": n, "name": f"thing {n}"}, **more)


def good() -> None:
	say(type="SCHEMA", stream="things", schema={"properties": {"id": {}}}, key_properties=["id"])
	start = 1
	if "--state" in sys.argv:
		start = json.loads(Path(sys.argv[sys.argv.index("--state") + 1]).read_text())["next"]
	for n in range(start, 8):
		record(n)
		record(n, stream="others")
		if n % 3 == 0:
			say(type="STATE", value={"next": n + 1})
	say(type="STATE", value={"next": 8})


def whole() -> None:
	say(type="ACTIVATE_VERSION", stream="things", version=1)
	for n in range(1, int(os.environ.get("COUNT", "4")) + 1):
		record(n, version=1)
	say(type="ACTIVATE_VERSION", stream="things", version=1)


def begun_only() -> None:
	say(type="ACTIVATE_VERSION", stream="things", version=1)
	record(1, version=1)


def no_state() -> None:
	for n in range(1, 26):
		record(n)


def state_first() -> None:
	say(type="STATE", value={"next": 1})
	say(type="STATE", value={"next": 1})
	record(1)


def garbage() -> None:
	record(1)
	say(type="STATE", value={"next": 2})
	record(2)
	print("Traceback: this is no JSON {", flush=True)


def binary() -> None:
	sys.stdout.buffer.write(b"\xff\xfe\x00" * 50 + b"\n")


def huge() -> None:
	for _ in range(40):
		sys.stdout.write("x" * 1_000_000)
	sys.stdout.flush()
	time.sleep(60)


def memory() -> None:
	print(len("x" * 3_000_000_000), file=sys.stderr)


def hang() -> None:
	record(1)
	time.sleep(600)


def fork() -> None:
	record(1)
	for _ in range(3):
		if os.fork() == 0:
			Path(f"{os.environ['MARK']}-{os.getpid()}").touch()
			time.sleep(600)
	sys.exit(0)


def dies() -> None:
	for n in range(1, 4):
		record(n)
	say(type="STATE", value={"next": 4})
	record(4)
	os.kill(os.getpid(), 9)


def wrong_types() -> None:
	say(type="RECORD", stream="things", record=[1, 2])


def no_stream() -> None:
	say(type="RECORD", record={"id": 1})


def a_list() -> None:
	print("[1]", flush=True)


def not_a_number() -> None:
	print('{"type": "RECORD", "stream": "things", "record": {"id": NaN}}', flush=True)


def batch() -> None:
	say(type="BATCH", stream="things", manifest=["file:///etc/passwd"])


def secrets() -> None:
	config = json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
	print(
		f"could not log in with {config['password']} and {os.environ['TOKEN']}", file=sys.stderr, flush=True
	)
	sys.exit(3)


def secret_state() -> None:
	record(1)
	say(type="STATE", value={"token": os.environ["TOKEN"]})


def environment() -> None:
	say(type="RECORD", stream="things", record={"id": 1, "name": ",".join(sorted(os.environ))})


if __name__ == "__main__":
	globals()[sys.argv[1]]()
