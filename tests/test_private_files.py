"""Files of a runtime are its owner's alone from their first byte, whatever the umask; others are warned about."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.standalone.create import create
from integration_hub.runtime.standalone.file_permissions import warnings
from integration_hub.stores.private_files import make_file
from integration_hub.stores.sqlite import SQLiteDatabase

CODE = "from integration_hub.commands import main; main()"


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
	before = os.umask(request.param)
	yield request.param
	os.umask(before)


def mode(path: Path) -> int:
	return stat.S_IMODE(path.stat().st_mode)


def modes(folder: Path) -> dict[str, int]:
	return {str(path.relative_to(folder)): mode(path) for path in folder.rglob("*")}


def test_all_that_a_runtime_makes_is_its_owners(umask, tmp_path):
	folder = tmp_path / "home"
	[*create(folder / "hub.toml", "http://127.0.0.1:1")]
	with StandaloneRuntime(folder / "hub.toml") as runtime:
		with runtime.db.transaction(), runtime.lock("x"):
			runtime.db.execute("UPDATE `tabSync Settings` SET `modified` = `modified`")
			found = modes(folder)
	assert {
		"hub.db",
		"hub.db-wal",
		"hub.db-shm",
		"hub.toml",
		"secrets",
		"secrets/HUB_KEY",
		"hub.locks",
	} <= set(found)
	assert mode(folder) == 0o700
	for name, bits in found.items():
		assert bits == (0o700 if name in ("secrets", "hub.locks") else 0o600), name


def test_there_is_no_moment_in_which_a_file_is_open_to_others(umask, tmp_path):
	"""Each file is looked at as soon as it is there, by a thread that does nothing else."""
	seen, stop = set(), threading.Event()

	def look() -> None:
		while not stop.is_set():
			for path in (*tmp_path.glob("*/*"), *tmp_path.glob("*/secrets/*")):
				try:
					seen.add((path.name, mode(path) & 0o077))
				except FileNotFoundError:
					continue

	thread = threading.Thread(target=look)
	thread.start()
	for number in range(15):
		[*create(tmp_path / str(number) / "hub.toml", "http://127.0.0.1:1")]
	stop.set()
	thread.join()
	assert {name for name, _bits in seen} >= {"hub.db", "hub.toml", "secrets"}
	assert not [one for one in seen if one[1]]


def test_a_database_in_memory_makes_no_file(tmp_path, monkeypatch):
	monkeypatch.chdir(tmp_path)
	SQLiteDatabase(":memory:").close()
	assert not [*tmp_path.iterdir()]


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path):
	elsewhere = tmp_path / "elsewhere"
	(tmp_path / "hub.db").symlink_to(elsewhere)
	with pytest.raises(OSError, match="leads nowhere"):
		make_file(tmp_path / "hub.db", "secret")
	with pytest.raises(OSError, match="leads nowhere"):
		SQLiteDatabase(tmp_path / "hub.db")
	assert not elsewhere.exists()


@pytest.mark.parametrize(
	("name", "bits"),
	[
		("hub.db", 0o644),
		("hub.db-wal", 0o640),
		("hub.toml", 0o604),
		("secrets", 0o755),
		("secrets/HUB_KEY", 0o644),
		("hub.locks", 0o777),
		(".", 0o777),
	],
)
def test_what_is_open_to_others_is_warned_about(tmp_path, name, bits):
	folder = tmp_path / "home"
	[*create(folder / "hub.toml", "http://127.0.0.1:1")]
	with StandaloneRuntime(folder / "hub.toml") as runtime:
		with runtime.lock("x"):
			assert [*warnings(runtime.file)] == []
			runtime.db.execute("UPDATE `tabSync Settings` SET `modified` = `modified`")
			(folder / name).chmod(bits)
			[said] = warnings(runtime.file)
			assert str(folder / name) in said and f"{bits:04o}" in said and "chmod" in said
			assert said in runtime.warnings()
	if name in ("hub.db-wal", "hub.locks"):
		return
	for command in (["status"], ["events"], ["work", "--once"]):
		done = CliRunner().invoke(integration_hub, ["--config", str(folder / "hub.toml"), *command])
		assert done.output.count(said) == 1, command


def test_the_target_of_a_link_is_looked_at(tmp_path):
	folder = tmp_path / "home"
	[*create(folder / "hub.toml", "http://127.0.0.1:1")]
	key = (folder / "secrets/HUB_KEY").rename(tmp_path / "key")
	(folder / "secrets/HUB_KEY").symlink_to(key)
	key.chmod(0o644)
	with StandaloneRuntime(folder / "hub.toml") as runtime:
		[said] = runtime.warnings()
	assert "HUB_KEY" in said and "0644" in said


def test_a_secret_that_the_machine_hands_out_to_a_group_is_fine(tmp_path):
	folder, handed = tmp_path / "home", tmp_path / "run-secrets"
	[*create(folder / "hub.toml", "http://127.0.0.1:1")]
	handed.write_text((folder / "secrets/HUB_KEY").read_text())
	handed.chmod(0o640)
	text = (folder / "hub.toml").read_text().replace("file:secrets/HUB_KEY", f"file:{handed}")
	(folder / "hub.toml").write_text(text)
	with StandaloneRuntime(folder / "hub.toml") as runtime:
		assert runtime.warnings() == []
		handed.chmod(0o644)
		assert len(runtime.warnings()) == 1
