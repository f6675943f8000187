"""What the panel did on servers: one durable row per operation, one per step of it, one per batch of them; which
workers are alive; and when jobs of the schedule were started.
"""

from operations.models.batch import NOT_STARTED, Batch, NotStarted, Progress, Reason
from operations.models.heartbeat import WorkerHeartbeat
from operations.models.job_start import JobStart
from operations.models.operation import MAX_LABEL, MAX_SUMMARY, Operation
from operations.models.queries import OperationQuerySet, ended, lease_end
from operations.models.state import ACTIVE_STATES, State
from operations.models.step import Step, StepState
from operations.models.tally import WITHIN, OperationTally, count_ended

__all__ = [
    "ACTIVE_STATES",
    "MAX_LABEL",
    "MAX_SUMMARY",
    "NOT_STARTED",
    "WITHIN",
    "Batch",
    "JobStart",
    "NotStarted",
    "Operation",
    "OperationQuerySet",
    "OperationTally",
    "Progress",
    "Reason",
    "State",
    "Step",
    "StepState",
    "WorkerHeartbeat",
    "count_ended",
    "ended",
    "lease_end",
]
