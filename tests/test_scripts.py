"""What the scripts that test on benches promise: databases by name, users of their own, no silence about leftovers."""

from pathlib import Path

import pytest

from scripts import sites
from scripts.benches import Bench, Failed


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
