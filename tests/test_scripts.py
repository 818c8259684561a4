"""What the scripts that test on benches promise: databases by name, users of their own, no silence about leftovers."""

import os
import sys
from pathlib import Path

import pytest

from scripts import benches, sites
from scripts.benches import Bench, Failed, app_on, what_tests_need


class Refusing(Bench):
	"""A bench on which sites can be made and not be dropped."""

	def frappe(self, *arguments: str, **options: str) -> str:
		if arguments[0] == "new-site":
			folder = self.path / "sites" / arguments[1]
			folder.mkdir(parents=True)
			(folder / "site_config.json").touch()
		if arguments[0] == "drop-site":
			raise Failed("the database is away")
		return ""


def test_a_site_that_cannot_be_dropped_fails_the_run(tmp_path: Path):
	with pytest.raises(Failed, match="the database is away"), sites.new_site(Refusing(tmp_path), "sqlite"):
		pass
	assert not list((tmp_path / "sites").iterdir())


@pytest.mark.parametrize(
	("named", "tested"),
	[
		("", ["mariadb"]),
		("postgres", ["postgres"]),
		("mariadb,postgres", ["mariadb", "postgres"]),
		("mariadb, sqlite", ["mariadb"]),
	],
)
def test_databases_are_those_that_are_named_and_known_to_the_bench(tmp_path, monkeypatch, named, tested):
	monkeypatch.setenv("SITE_DATABASES", named)
	for known in ("mariadb", "postgres"):
		(tmp_path / "apps/frappe/frappe/database" / known).mkdir(parents=True)
	assert sites.databases_of(Bench(tmp_path)) == tested


def test_a_database_that_is_none_is_refused(tmp_path, monkeypatch):
	monkeypatch.setenv("SITE_DATABASES", "mariadb,oracle")
	with pytest.raises(Failed, match="oracle"):
		sites.databases_of(Bench(tmp_path))


def test_postgres_needs_a_password(tmp_path, monkeypatch):
	monkeypatch.delenv("FRAPPE_POSTGRES_ROOT_PASSWORD", raising=False)
	with (
		pytest.raises(Failed, match="FRAPPE_POSTGRES_ROOT_PASSWORD"),
		sites.new_site(Bench(tmp_path), "postgres"),
	):
		pass


def test_runs_at_once_have_users_of_their_own_and_take_them_away(monkeypatch):
	monkeypatch.delenv("FRAPPE_DB_ROOT_PASSWORD", raising=False)
	said: list[str] = []
	monkeypatch.setattr(sites, "_sql", said.append)
	with sites._mariadb() as one, sites._mariadb() as other:
		users = {one[1], other[1]}
	assert len(users) == 2
	for user in users:
		assert [text.startswith(f"DROP USER IF EXISTS '{user}'") for text in said].count(True) == 2


@pytest.fixture
def bench(tmp_path) -> Bench:
	"""A bench as far as files go: Python, a list of apps, no Frappe."""
	(tmp_path / "env/bin").mkdir(parents=True)
	(tmp_path / "env/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
	(tmp_path / "env/bin/python").chmod(0o755)
	(tmp_path / "sites").mkdir()
	(tmp_path / "sites/apps.txt").write_text("frappe\nintegration_hub\n")
	(tmp_path / "apps/integration_hub/integration_hub").mkdir(parents=True)
	(tmp_path / "apps/integration_hub/integration_hub/__init__.py").touch()
	return Bench(tmp_path)


@pytest.fixture
def own_clone(bench, monkeypatch) -> Path:
	"""The app's real folder in the bench, from which the tests run."""
	place = bench.path / "apps/integration_hub"
	monkeypatch.setattr(benches, "ROOT", place.resolve())
	monkeypatch.setenv("PYTHONPATH", str(place))
	return place


def test_the_benchs_own_clone_is_taken_as_it_is(bench, own_clone):
	with app_on(bench):
		assert own_clone.is_dir() and not own_clone.is_symlink()
	assert (own_clone / "integration_hub/__init__.py").exists()
	assert (bench.path / "sites/apps.txt").read_text() == "frappe\nintegration_hub\n"
	assert sorted(os.listdir(bench.path)) == ["apps", "env", "sites"]


def test_a_clone_that_the_bench_does_not_have_as_its_app_is_told(bench, own_clone):
	(bench.path / "sites/apps.txt").write_text("frappe\n")
	with pytest.raises(Failed, match="is not installed on its bench: bench"), app_on(bench):
		pass


def test_another_clone_in_its_place_is_left_alone(bench):
	with pytest.raises(Failed, match="exists; move it away, or run its own: make -C"), app_on(bench):
		pass
	assert (bench.path / "apps/integration_hub/integration_hub/__init__.py").exists()


def test_what_the_tests_need_is_left_alone_where_it_is_there(bench):
	with what_tests_need(bench) as environment:
		assert environment == {}


def test_what_the_tests_need_is_installed_beside_the_bench_and_goes_away(bench, monkeypatch):
	monkeypatch.setattr(benches, "NEEDED", ("needed_by_tests",))

	def install(bench: Bench, *words: str, quiet: bool = False) -> None:
		assert words[-1] == "needed_by_tests"
		Path(words[words.index("--target") + 1], "needed_by_tests.py").touch()

	monkeypatch.setattr(benches, "_pip", install)
	with what_tests_need(bench) as environment:
		bench.python("-c", "import needed_by_tests", **environment)
	assert sorted(os.listdir(bench.path)) == ["apps", "env", "sites"]


def test_what_cannot_be_installed_is_told_in_a_line(bench, monkeypatch, capsys):
	monkeypatch.setattr(benches, "NEEDED", ("no-such-package-of-anybody",))
	monkeypatch.setenv("PIP_NO_INDEX", "1")
	monkeypatch.setenv("UV_NO_INDEX", "1")
	monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
	with (
		pytest.raises(Failed, match=r"the tests need .*; on the bench: .* -m pip install no-such"),
		what_tests_need(bench),
	):
		pass
	assert capsys.readouterr().out == ""
	assert sorted(os.listdir(bench.path)) == ["apps", "env", "sites"]
