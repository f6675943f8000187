"""Reads XLSX in a process of its own, with little memory and little time.

A file of a few kilobytes can unpack to gigabytes, or take the library that reads it hours, in more ways than a list of
them could have. There such a file costs some seconds, and the web process what the largest table costs.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from spreadsheets.lines import TOO_LARGE, FileRefused, Line
from spreadsheets.xlsx_reader import OUT_OF_MEMORY

logger = logging.getLogger(__name__)

#: Bytes, and seconds of a processor. The largest sheet that is accepted takes about 20 MB and 3 seconds.
MEMORY = 128 * 1024 * 1024
SECONDS = 15
#: Seconds after which it is ended however little it has done: other processes may need the processor.
_PATIENCE = 25
_ENDS_OF_ONE_TOO_LARGE = {OUT_OF_MEMORY, -signal.SIGXCPU, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT}
_NOT_READ = (
    "The panel could not read the XLSX file: this is not the file's fault. Try again, or import the sheet as "
    "“CSV UTF-8”. If it goes on, tell the person who hosts the panel."
)
#: The memory is for each reader, so there is one for each web process, for which others wait so many seconds: else some
#: files that take long would block all threads.
_one_at_a_time = threading.Lock()
_TURN = 5
_BUSY = "Another sheet is being read. Try again in a minute."


def xlsx_lines(content: bytes) -> list[Line]:
    """Return the lines of the first sheet that have anything in them.

    Raises:
        FileRefused
    """
    if not _one_at_a_time.acquire(timeout=_TURN):
        raise FileRefused(_BUSY)
    try:
        answer = _ask_reader(content)
    finally:
        _one_at_a_time.release()
    if "refused" in answer:
        raise FileRefused(answer["refused"])
    return [(number, cells) for number, cells in answer["lines"]]


def _ask_reader(content: bytes) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603  nothing of it is a user's
            [sys.executable, "-m", "spreadsheets.xlsx_reader", str(MEMORY), str(SECONDS)],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an error of the library may quote a cell
            cwd=Path(__file__).parents[1],
            # None of the panel's secrets.
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PATH", "PYTHONPATH") if name in os.environ},
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FileRefused(TOO_LARGE) from None
    except OSError:
        logger.exception("The reader of XLSX files could not be started")
        raise FileRefused(_NOT_READ) from None
    if done.returncode in _ENDS_OF_ONE_TOO_LARGE:
        raise FileRefused(TOO_LARGE)
    if done.returncode:
        logger.error("The reader of XLSX files ended with %s", done.returncode)
        raise FileRefused(_NOT_READ)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
