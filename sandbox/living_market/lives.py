"""What happened in each life of a container, as its strategy knows it: the source of its reports."""

from dataclasses import dataclass, field

#: An entry of a journal: what happened, when, and a reference: an order's or a trade's number, or a sentence.
Entry = tuple[str, float, int | str]

PLACED, RESTORED, FILLED, CANCELLED = "placed", "restored", "filled", "cancelled"
REJECTED, NOT_QUOTING, PAUSED, RESUMED = "rejected", "not quoting", "paused", "resumed"


@dataclass
class Life:
    """From one start of a container to the next. Moments are epoch seconds of the sandbox's clock.

    Attributes:
        started_at: when the container was started.
        starts_at: when its strategy was.
        ready_at: when it could trade; ``None`` if it never could.
        stopped_at: when its strategy was stopped.
        until: when it was last connected; ``None`` while it is the container's present life.
        journal: in the order in which the strategy learned it.
    """

    started_at: float
    starts_at: float
    ready_at: float | None = None
    stopped_at: float | None = None
    until: float | None = None
    journal: list[Entry] = field(default_factory=list)

    def note(self, what: str, moment: float, reference: int | str = "") -> None:
        self.journal.append((what, moment, reference))

    def record(self) -> dict[str, object]:
        return dict(vars(self))

    @classmethod
    def from_record(cls, record: dict) -> "Life":
        return cls(**record | {"journal": [tuple(entry) for entry in record["journal"]]})
