"""Ordering keys that are held back: what stands behind an event of its key that has to be done before.

Behind one event that waits for its retry there may be any number of others. They are not looked at one by one,
neither when rows are taken nor when it is said whether there is something to do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from integration_hub.stores.database import in_list
from integration_hub.stores.home import Home
from integration_hub.stores.inbox import DOCTYPE

# Of so many, no row is looked at in vain; those of others are looked at one by one.
_MOST_KEYS = 5000

# Conditions on the row `w`.
_SAME_KEY = """`b`.`integration` = `w`.`integration` AND `b`.`status` = '{status}'
	AND `b`.`ordering_key` = `w`.`ordering_key`"""
# The first one in the order of an index, however many there are.
_FIRST = f"""(SELECT `b`.`name` FROM `tab{DOCTYPE}` `b` WHERE {_SAME_KEY} AND `b`.`deferrals` = 0
	ORDER BY `b`.`name` LIMIT 1)"""

IN_HAND = f"EXISTS (SELECT 1 FROM `tab{DOCTYPE}` `b` WHERE {_SAME_KEY.format(status='Processing')})"
BEHIND_RETRY = f"COALESCE({_FIRST.format(status='Failed')} < `w`.`name`, 1 = 0)"
BEHIND_UNTRIED = f"COALESCE({_FIRST.format(status='Queued')} < `w`.`name`, 1 = 0)"

_FAILED = "`status` = 'Failed' AND `deferrals` = 0 AND `ordering_key` <> ''"


def held_keys(home: Home, integration: str) -> list[str]:
	"""Return keys of which no untried row can be taken, as all of them are held back; if they are many, not all."""
	sql = f"""SELECT DISTINCT `ordering_key` FROM `tab{DOCTYPE}`
		WHERE `integration` = %s AND `status` = 'Processing' AND `ordering_key` <> '' LIMIT {_MOST_KEYS}"""
	in_hand = [row["ordering_key"] for row in home.db.query(sql, [integration])]
	return (in_hand + _keys_behind_retries(home, integration))[:_MOST_KEYS]


def _keys_behind_retries(home: Home, integration: str) -> list[str]:
	"""Return keys of which an event that waits for its retry is before all that is untried."""
	first_untried = f"""(SELECT `b`.`name` FROM `tab{DOCTYPE}` `b` WHERE {_SAME_KEY.format(status="Queued")}
		ORDER BY `b`.`name` LIMIT 1)"""
	sql = f"""SELECT DISTINCT `w`.`ordering_key` FROM `tab{DOCTYPE}` `w`
		WHERE `w`.`integration` = %s AND {_FAILED} AND COALESCE(`w`.`name` < {first_untried}, 1 = 1)
		LIMIT {_MOST_KEYS}"""
	return [row["ordering_key"] for row in home.db.query(sql, [integration])]


def none_of(keys: Sequence[str]) -> tuple[str, dict[str, str]]:
	"""Return a condition on the row `w`, that its key is none of `keys`, and the parameters it has."""
	if not keys:
		return "1 = 1", {}
	values = {f"key_{number}": key for number, key in enumerate(keys)}
	marks = ", ".join(f"%({name})s" for name in values)
	return f"(`w`.`ordering_key` IS NULL OR `w`.`ordering_key` NOT IN ({marks}))", values


def waits_for_retry(home: Home, integration: str, keys: Collection[str]) -> bool:
	"""Tell whether events with these keys all stand behind one that waits for its retry: nothing is to be done now."""
	different = set(keys)
	if not different or "" in different:
		return False
	marks, values = in_list(different)
	sql = f"""SELECT DISTINCT `ordering_key` FROM `tab{DOCTYPE}`
		WHERE `integration` = %s AND {_FAILED} AND `ordering_key` IN ({marks})"""
	return len(home.db.query(sql, [integration, *values])) == len(different)


def due(home: Home) -> dict[str, int]:
	"""Return how many events each enabled integration has to handle now, of those that have any.

	What stands behind an event that waits for its retry is not due before that is.
	"""
	enabled = home.db.query("SELECT `name` FROM `tabIntegration Settings` WHERE `enabled` = 1")
	counts = {row["name"]: _count_due(home, row["name"]) for row in enabled}
	return {integration: count for integration, count in counts.items() if count}


def _count_due(home: Home, integration: str) -> int:
	free, values = none_of(_keys_behind_retries(home, integration))
	mine = f"""SELECT COUNT(*) FROM `tab{DOCTYPE}` `w`
		WHERE `w`.`integration` = %(integration)s AND `w`.`next_attempt_at` <= %(now)s"""
	sql = f"""SELECT ({mine} AND `w`.`status` = 'Queued' AND {free})
		+ ({mine} AND `w`.`status` = 'Failed' AND (COALESCE(`w`.`ordering_key`, '') = '' OR NOT {BEHIND_RETRY}))
		AS `n`"""
	return home.db.query(sql, {"integration": integration, "now": home.now(), **values})[0]["n"]
