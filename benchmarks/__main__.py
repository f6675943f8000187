"""``./run bench``: every measurement, each in a process of its own, and ``README.md`` with what they showed.

Run: ``python -m benchmarks [module ...]``. Those that are not named keep what they showed last.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
RESULTS, PLOTS = HERE / "results", HERE / "plots"


@dataclass(frozen=True)
class Measurement:
    """Attributes:
    module: has ``measure``, which returns rows, and ``COLUMNS``.
    x, lines: the columns of its plot; no plot without lines.
    sqlite, postgresql: where it is measured.
    queue: the ``QUEUE_URL``, of a Redis that it starts itself; in memory without one.
    """

    module: str
    title: str
    goal: str
    x: str = ""
    lines: tuple[str, ...] = ()
    postgresql: bool = False
    sqlite: bool = True
    queue: str = ""


MEASUREMENTS = (
    Measurement(
        "one_deploy",
        "One deploy, waits aside",
        "at most 1.5 times what a bare script takes for the seven calls that nobody can leave out, and at most 1.15 "
        "times what it takes for all that the panel sends",
    ),
    Measurement(
        "fleet_deploys",
        "Many bots at once, with keys",
        "at 200 bots on 20 servers at most 1.2 times the limit, at least 10 times faster than one by one, and no "
        "slower than the official client with `gather`",
        "bots",
        ("limit s", "panel s", "gather s"),
        postgresql=True,
        sqlite=False,  # which many deploys at once are not for
        queue="redis://127.0.0.1:6390/0",
    ),
    Measurement(
        "waiting",
        "Bots that start at once",
        "at most 100 MB more than an idle worker, and no more threads",
        "bots",
        ("idle MB", "waiting MB"),
    ),
    Measurement(
        "states",
        "The state of a fleet, per round",
        "faster than the official client's status call at 100 servers with 50 bots each, and a hundredth of the bytes",
        "servers",
        ("client s", "panel s"),
    ),
    Measurement(
        "poll",
        "One poll of a server, by its bots",
        "as many queries as with 10 bots, and at most 0.1 ms of CPU a bot",
        "bots",
        ("CPU ms a bot",),
        postgresql=True,
    ),
    Measurement("hanging", "Servers that hang", "they delay no other server's poll"),
    Measurement(
        "queues",
        "Wake-ups through each queue",
        "more than all workers use: a deploy takes about five",
        "threads",
        ("taken a second",),
        postgresql=True,
    ),
    Measurement("api", "`GET /bots`, 100 a page", "at most 1.5 times a bare view with the same query", postgresql=True),
    Measurement(
        "pages",
        "Pages and lists, with 100 times as many rows",
        "as many queries, at most 1.5 times as long, and at most 300 ms",
        postgresql=True,
    ),
)


def main(names: list[str]) -> None:
    RESULTS.mkdir(exist_ok=True)
    PLOTS.mkdir(exist_ok=True)
    for measurement in MEASUREMENTS:
        if not names or measurement.module in names:
            print(f"{measurement.title} ...", flush=True)  # noqa: T201
            _run(measurement)
    _write()


def _run(measurement: Measurement) -> None:
    """Measure in processes of their own: each has settings of its own."""
    code = (
        f"import json, sys; from benchmarks import {measurement.module} as m\n"
        "if __name__ == '__main__': rows = m.measure(); print('\\n' + json.dumps([m.COLUMNS, rows]))"
    )
    command = [sys.executable, "-c", code]
    found: list[Any] = []
    for prefix in [[], ["pg_virtualenv", "-t", "-o", "max_connections=300", "sh", "-c", ON_POSTGRESQL]]:
        if not (measurement.postgresql if prefix else measurement.sqlite):
            continue
        environment = os.environ | ({"QUEUE_URL": measurement.queue} if measurement.queue else {})
        ran = subprocess.run(  # noqa: S603 - arguments of our own
            [*prefix, *command], cwd=HERE.parent, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        found.append(json.loads(next(line for line in reversed(ran.stdout.splitlines()) if line.startswith("["))))
    rows = [row for _, of_database in found for row in of_database]
    (RESULTS / f"{measurement.module}.json").write_text(json.dumps({"columns": found[0][0], "rows": rows}, indent=1))


#: From here on, one decimal says enough.
MANY = 10


#: Runs its arguments with the database server that ``pg_virtualenv`` has made.
ON_POSTGRESQL = 'DATABASE_URL=postgres://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$PGDATABASE "$0" "$@"'


def _write() -> None:
    """Write the page from what was measured, now or earlier."""
    parts = [(HERE / "introduction.md").read_text()]
    for measurement in MEASUREMENTS:
        file = RESULTS / f"{measurement.module}.json"
        if not file.exists():
            continue
        result = json.loads(file.read_text())
        columns, rows = result["columns"], result["rows"]
        table = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        table += [f"| {' | '.join(_shown(row[column]) for column in columns)} |" for row in rows]
        plot = f"\n![{measurement.title}](plots/{measurement.module}.svg)\n" if measurement.lines else ""
        if measurement.lines:
            _plot(measurement, rows)
        remark = HERE / "remarks" / f"{measurement.module}.md"
        said = f"\n{remark.read_text().strip()}\n" if remark.exists() else ""
        parts.append(
            f"## {measurement.title}\n\nGoal: {measurement.goal}. (`python -m benchmarks.{measurement.module}`)\n\n"
            + "\n".join(table)
            + f"\n{said}{plot}"
        )
    (HERE / "README.md").write_text("\n".join(parts))


def _plot(measurement: Measurement, rows: list[dict[str, Any]]) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.2))
    for database in dict.fromkeys(row["database"] for row in rows):
        for line in measurement.lines:
            of_line = [row for row in rows if row["database"] == database]
            label = f"{line}, {database}" if measurement.postgresql and measurement.sqlite else line
            axes.plot([row[measurement.x] for row in of_line], [row[line] for row in of_line], marker="o", label=label)
    axes.set_xlabel(measurement.x)
    axes.set_ylim(bottom=0)
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(PLOTS / f"{measurement.module}.svg", metadata={"Date": None})
    plt.close(figure)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < MANY else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
