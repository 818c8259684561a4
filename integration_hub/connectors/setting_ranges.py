"""The least and the largest value of each number in the settings, of integrations and of streams.

What is outside of them is a slip, and some of it is a fault that comes later: a time that no clock knows, a pause that
no process lives to see.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from integration_hub.lazy_messages import _

_DAY = 86_400
_YEAR = 366 * _DAY
_LEAST_SECONDS = 0.001
MOST_DAYS = 36_500  # the longest that rows are kept: a hundred years


class Range(NamedTuple):
	"""The values that a number may have, both ends included."""

	least: float
	largest: float


# By field. Seconds, unless their names say another thing; 0 stands for «not at all» where it is allowed.
RANGES: dict[str, Range] = {
	"connect_timeout": Range(_LEAST_SECONDS, 600),
	"read_timeout": Range(_LEAST_SECONDS, 3600),
	"max_attempts": Range(1, 100),
	"backoff_min": Range(0, 3600),
	"backoff_max": Range(0, 3600),
	"max_wait": Range(0, 3600),
	"rate_limit": Range(0, 1_000_000),
	"rate_period": Range(_LEAST_SECONDS, 31 * _DAY),
	"breaker_threshold": Range(0, 1_000_000),
	"breaker_seconds": Range(_LEAST_SECONDS, 7 * _DAY),
	"token_lifetime": Range(0, _YEAR),
	"max_response_mb": Range(_LEAST_SECONDS, 10_000),
	"max_body_mb": Range(0, 100),
	"webhook_tolerance": Range(1, 7 * _DAY),
	"event_attempts": Range(1, 100),
	"event_dead_hours": Range(0, 24 * 366),
	"keep_payload_days": Range(0, MOST_DAYS),
	"keep_dead_days": Range(0, MOST_DAYS),
	"keep_unrouted_days": Range(0, MOST_DAYS),
	"keep_conflict_days": Range(0, MOST_DAYS),
	"page_size": Range(1, 100_000),
	"first_page": Range(0, 1),
	"lanes": Range(1, 8),
	"restart_after": Range(0, 10_000_000),
	"restart_pages": Range(0, 1_000_000),
	"overlap_seconds": Range(0, _YEAR),
	"expired_status": Range(0, 599),
	"max_delete_count": Range(0, 1_000_000_000),
	"max_delete_percent": Range(0, 100),
	"interval_minutes": Range(0, _YEAR // 60),
	"alert_after": Range(0, 1_000_000),
	"out_delete_count": Range(0, 1_000_000_000),
	"out_delete_percent": Range(0, 100),
	"scan_minutes": Range(0, _YEAR // 60),
	"compare_hours": Range(0, _YEAR // 3600),
}


def range_problems(config: Any) -> Iterator[tuple[str, str]]:
	"""Return what is out of range in a dataclass of settings, as (field, sentence)."""
	for field, (least, largest) in RANGES.items():
		# In this form, what is no number at all (NaN) is out of range, too.
		if hasattr(config, field) and not least <= getattr(config, field) <= largest:
			yield field, _("must be from {0} to {1}", f"{least:.12g}", f"{largest:.12g}")
