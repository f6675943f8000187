"""Hands the schedule to the queue's timer."""

from huey.contrib.djhuey import db_periodic_task

from core.schedule import SCHEDULE

for job in SCHEDULE:
    db_periodic_task(job.starts_at, name=f"start_{job.task.replace('.', '_')}")(job.start)
