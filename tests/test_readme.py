"""The README's first example: GitHub's issues, from a server that answers in the shape of GitHub's API."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug import Request, Response
from werkzeug.serving import make_server

from integration_hub.commands import integration_hub
from integration_hub.runtime.standalone import StandaloneRuntime
from tests.test_docs import ROOT, blocks

README = ROOT / "README.md"


class GitHub:
	"""The issues of a repository, as https://docs.github.com/en/rest/issues/issues lists them.

	Pull requests are among them, the next page is a link by the repository's number, and the rate limit is in headers.
	"""

	def __init__(self) -> None:
		self.issues = [self._issue(number) for number in range(1347, 1117, -1)]
		self.requests: list[str] = []
		self.url = ""

	def _issue(self, number: int) -> dict:
		issue = {
			"id": 2_900_000_000 + number,
			"node_id": f"I_{number}",
			"number": number,
			"title": f"Issue {number}",
			"user": {"login": "octocat", "id": 1, "type": "User"},
			"labels": [],
			"state": "open",
			"comments": 0,
			"created_at": "2026-01-31T12:00:00Z",
			"updated_at": "2026-01-31T12:00:00Z",
			"closed_at": None,
			"body": None,
		}
		is_pull = number % 5 == 1
		return {**issue, "pull_request": {"url": "", "merged_at": None}} if is_pull else issue

	@Request.application
	def __call__(self, request: Request) -> Response:
		self.requests.append(request.full_path)
		assert request.path in ("/repos/octocat/Hello-World/issues", "/repositories/1296269/issues")
		page, size = int(request.args.get("page", 1)), int(request.args.get("per_page", 30))
		rows = self.issues[(page - 1) * size : page * size]
		response = Response(json.dumps(rows), content_type="application/json; charset=utf-8")
		response.headers["X-RateLimit-Limit"] = "60"
		response.headers["X-RateLimit-Remaining"] = "50"
		response.headers["X-RateLimit-Reset"] = "4102444800"
		if page * size < len(self.issues):
			there = f"{self.url}/repositories/1296269/issues?per_page={size}"
			response.headers["Link"] = f'<{there}&page={page + 1}>; rel="next", <{there}&page=3>; rel="last"'
		return response


@pytest.fixture
def github() -> Iterator[GitHub]:
	app = GitHub()
	server = make_server("127.0.0.1", 0, app, threaded=True)
	app.url = f"http://127.0.0.1:{server.port}"
	threading.Thread(target=server.serve_forever, daemon=True).start()
	yield app
	server.shutdown()


@pytest.fixture
def folder(github, tmp_path, monkeypatch) -> Path:
	"""A folder with the README's hub.toml, but for GitHub's address."""
	monkeypatch.chdir(tmp_path)
	[toml] = blocks(README, "toml")
	assert "https://api.github.com" in toml
	text = f'[hub]\nallowed_hosts = ["127.0.0.1:*"]\n{toml.replace("https://api.github.com", github.url)}'
	(tmp_path / "hub.toml").write_text(text)
	return tmp_path


def sync() -> str:
	done = CliRunner().invoke(integration_hub, ["sync"])
	assert done.exit_code == 0, done.output
	return done.output


def shown() -> tuple[str, list[list[str]]]:
	"""Return what the README says the command prints, and the rows of the table below it."""
	[output] = [block for block in blocks(README, "") if "Completed in" in block]
	first, *lines = output.splitlines()
	return first, [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line[0] == "│"]


def without_time(line: str) -> str:
	return re.sub(r"in [\d.]+ s", "in … s", line)


def test_twelve_lines_bring_githubs_issues_into_a_table(github, folder):
	[toml] = blocks(README, "toml")
	assert len(toml.strip().splitlines()) == 12
	first, (head, *rows) = shown()
	by_number = {issue["number"]: issue for issue in github.issues}
	for number, title, state, author in rows:
		assert "pull_request" not in by_number[int(number)]
		by_number[int(number)].update(title=title, state=state, user={"login": author})
	assert without_time(first) in map(without_time, sync().splitlines())
	[query] = re.findall(r"'(SELECT .*)'", README.read_text())
	with StandaloneRuntime(folder / "hub.toml") as runtime:
		found = runtime.db.query(query)
		assert runtime.db.query("SELECT COUNT(*) AS `n` FROM `tabIssue`") == [{"n": 184}]
	assert [list(row) for row in found] == [head] * len(rows)
	assert [[str(value) for value in row.values()] for row in found] == rows
	assert len(github.requests) == 3


def test_nothing_is_written_again_and_what_is_gone_goes_where_the_policy_says_so(github, folder):
	sync()
	assert "184 unchanged" in sync()
	text = (folder / "hub.toml").read_text()
	policy = 'target_doctype = "Issue"\ndeletion_policy = "Delete"'
	(folder / "hub.toml").write_text(text.replace('target_doctype = "Issue"', policy))
	github.issues = [issue for issue in github.issues if issue["number"] != 1347]
	assert "1 deleted" in sync()
	with StandaloneRuntime(folder / "hub.toml") as runtime:
		assert not runtime.db.query("SELECT 1 FROM `tabIssue` WHERE `number` = 1347")
