"""Writing 1,000,000 records that are fetched already, on the standalone runtime, once each.

python -m benchmarks.sync_million_standalone
"""

from __future__ import annotations

from benchmarks import sync_standalone
from benchmarks.figures import size

COUNT = size(1_000_000, quick=10_000)

if __name__ == "__main__":
	sync_standalone.main(COUNT)
