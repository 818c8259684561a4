"""`bench worker`, in a process that knows the run's handler: python -m chaos.rq_worker QUEUES"""

from __future__ import annotations

import sys
from functools import partial

from frappe.utils import background_jobs

from chaos import effects
from chaos.site import know_handler
from integration_hub.runtime.frappe import FrappeRuntime


def main(queues: str) -> None:
	"""Do the jobs of the bench's queues, each in a process of its own, which an event may kill."""
	know_handler()
	effects.runtime, effects.mortal = FrappeRuntime(), True
	# That it is at a job it says each second: a run lets time pass faster than it does.
	background_jobs.Worker = partial(background_jobs.Worker, job_monitoring_interval=1)
	background_jobs.start_worker(queue=queues)


if __name__ == "__main__":
	main(sys.argv[1])
