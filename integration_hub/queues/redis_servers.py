"""The Redis that a queue is in: what it has to be able to do, and what it means when it refuses."""

from __future__ import annotations

import re

import redis

from integration_hub.lazy_messages import _
from integration_hub.stores.runtime import HubError

NEEDED = (6, 2)  # BLMOVE, XAUTOCLAIM
_FULL = "OOM"
# The word that an answer begins with: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
_MEANS = {
	"MOVED": _("is a node of a cluster that does not hold this queue"),
	"ASK": _("is a node of a cluster that is handing this queue to another one"),
	"TRYAGAIN": _("is a node of a cluster that is handing this queue to another one"),
	"CROSSSLOT": _(
		"is in a cluster that keeps this queue's other keys elsewhere: its name may hold braces around a part of it only"
	),
	"CLUSTERDOWN": _("is in a cluster that is down"),
	"MASTERDOWN": _("is a replica that has lost its master"),
	"READONLY": _("is a replica now, which takes no writes"),
	"LOADING": _("is loading its data"),
	_FULL: _("is full (maxmemory)"),
}
# redis-py leaves the word out for a class of its own: from 5 on for these three, from 6 on for a cluster's too.
_WORDS = {
	"OutOfMemoryError": _FULL,
	"BusyLoadingError": "LOADING",
	"ReadOnlyError": "READONLY",
	"MovedError": "MOVED",
	"AskError": "ASK",
	"TryAgainError": "TRYAGAIN",
	"ClusterCrossSlotError": "CROSSSLOT",
	"ClusterDownError": "CLUSTERDOWN",
	"MasterDownError": "MASTERDOWN",
}
_ELSEWHERE = re.compile(r"MOVED \d+ (.*):(\d+)")


def word(error: redis.RedisError) -> str:
	"""Return the word that says what kind of answer an error is, of a script's command that of the command."""
	known = next((_WORDS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _WORDS), None)
	if known:
		return known
	text = str(error)
	inner = (
		re.search(r"-(READONLY|OOM|MASTERDOWN|LOADING) ", text)
		if text.removeprefix("ERR ").startswith("Error running")
		else None
	)
	return inner[1] if inner else text.partition(" ")[0].rstrip(":")


def is_full(error: redis.RedisError) -> bool:
	"""Tell whether a command was refused because Redis has no memory left."""
	return word(error) == _FULL


def explained(error: Exception, integration: str) -> Exception:
	"""Return an error that says what a person can do something about, in place of a known answer of Redis."""
	if not isinstance(error, redis.RedisError):
		return error
	meaning = _MEANS.get(word(error))
	return (
		HubError(meaning, doctype="Integration Settings", name=integration, field="queue_url")
		if meaning
		else error
	)


def moved_to(error: redis.RedisError) -> tuple[str, int] | None:
	"""Return the host, "" for the same one, and port of the node that has a queue; None if that is not what is said."""
	if word(error) == "MOVED" and hasattr(error, "node_addr"):
		return error.node_addr
	found = _ELSEWHERE.match(str(error))
	return (found[1], int(found[2])) if found else None


def facts_of(client: redis.Redis) -> tuple[tuple[int, int], bool]:
	"""Return the version of a server, (0, 0) where it does not tell, and whether it is a node of a cluster."""
	try:
		told = client.info("server")
	except redis.ResponseError:  # a user that may not ask
		return (0, 0), False
	found = re.match(r"(\d+)\.(\d+)", str(told.get("redis_version", "")))
	return (int(found[1]), int(found[2])) if found else (0, 0), told.get("redis_mode") == "cluster"


def tagged(queue: str) -> str:
	"""Return what the names of a queue's other keys begin with: in a cluster they are where the queue is.

	That decides what stands between the first { and the first } behind it; without these, the whole name.
	"""
	return queue if "{" in queue or "}" in queue else f"{{{queue}}}"
