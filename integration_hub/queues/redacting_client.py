"""A Redis client whose errors say nothing of what was sent: neither the password nor a message's body.

Servers and redis-py quote the command that failed: an old server asked for RESP 3 quotes HELLO with the password, a
pipeline LREM with the message. So of a server's words only those are kept that are known to be its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.client import Pipeline

from integration_hub.connectors.deadline import deadline

_ANSWER_SECONDS = (
	60.0  # for a command and its whole answer, however it drips; blocking ones wait for much less
)
_UNSAID = "the server's words are not shown: they may contain what was sent"
_CODE = re.compile(r"[A-Z]{2,20}(?= |$)")
_COMMAND = re.compile(r"unknown command ['`\"]?([A-Za-z]{2,20})['`\",]", re.IGNORECASE)
_MOVED = re.compile(r"(?:MOVED|ASK) \d{1,5} [\w.:-]{0,255}:\d{1,5}")  # a node of a cluster names another one
# Texts of Redis that are the same whatever was sent, or their beginnings.
_KNOWN = re.compile(
	"unknown command|unknown subcommand|wrong number of arguments|syntax error|value is not an integer"
	"|max number of clients reached|max number of clients \\+ cluster connections reached"
	"|invalid password|invalid username-password pair or user is disabled|authentication required"
	"|client sent auth, but no password is set|auth <password> called without any password configured"
	"|db index is out of range|invalid db index|select is not allowed in cluster mode"
	"|(?:noproto )?unsupported protocol version|command not allowed when used memory > 'maxmemory'"
	"|command not allowed under oom prevention|you can't write against a read only (?:replica|slave)"
	"|redis is loading the dataset in memory|redis is busy running a script|no matching script"
	"|transaction discarded because of previous errors|redis is configured to save rdb snapshots"
	"|operation against a key holding the wrong kind of value|no such key|consumer group name already exists"
	"|this user has no permissions to (?:run|access)|not enough good replicas to write|the cluster is down"
	"|hash slot not served|link with master is down|error running script",
	re.IGNORECASE,
)


class RedactingRedis(redis.Redis):
	"""A client for a queue. Errors keep their type, and lose what they quote."""

	def execute_command(self, *args: Any, **options: Any) -> Any:
		"""Run a command; its errors hold no secrets."""
		with _redacting():
			return super().execute_command(*args, **options)

	def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
		"""Return a pipeline whose errors hold no secrets."""
		return _RedactingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _RedactingPipeline(Pipeline):
	def execute(self, raise_on_error: bool = True) -> list[Any]:
		with _redacting():
			return super().execute(raise_on_error)


@contextmanager
def _redacting() -> Iterator[None]:
	try:
		with deadline(_ANSWER_SECONDS):
			yield
	except redis.RedisError as error:
		said: BaseException | None = error
		while said is not None:
			if isinstance(said, redis.RedisError):
				said.args = (server_words(said),)
			said = said.__cause__ or said.__context__
		raise


def server_words(error: redis.RedisError) -> str:
	"""Return what an error says that cannot be from a command: its code and the server's own words."""
	text = str(error)
	if _MOVED.fullmatch(text):
		return text
	if type(error) in (redis.ConnectionError, redis.TimeoutError):
		return text  # redis-py's own: a host, and what the operating system says of it
	head = text.rpartition("of pipeline caused error: ")[2] if text.startswith("Command # ") else text
	code = _CODE.match(head)
	known = _KNOWN.match(head, code.end() + 1 if code else 0)
	words = [code[0]] if code else []
	if known:
		words.append(known[0] if not (name := _COMMAND.match(head)) else f"unknown command {name[1].upper()}")
	return " ".join(words) if known else f"{''.join(words) or type(error).__name__}: {_UNSAID}"
