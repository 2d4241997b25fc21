"""One command is timed as if it had a core to itself: waiting for one is taken off its wall time."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from kpsim.calibration.bench.namespaces import Namespace, Refused
from kpsim.calibration.bench.plan import Input

NS_A_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Timed:
    """A command's time by the wall and of CPU [s], and its memory at most [KiB]."""

    wall_s: float
    user_s: float
    sys_s: float
    rss_kib: int


def timed(namespace: Namespace, given: Input) -> Timed:
    """Run a command in ``namespace`` and return its times.  Raises :class:`Refused` with its complaint.

    Its input and output are files in memory: how fast this process writes and reads a pipe is no part of it.
    """
    memory = [os.memfd_create(name) for name in ("input", "output", "complaint")]
    try:
        os.write(memory[0], given.text.encode())
        os.lseek(memory[0], 0, os.SEEK_SET)
        with namespace.entered():
            began_s = time.perf_counter()
            child = subprocess.Popen(given.command, stdin=memory[0], stdout=memory[1], stderr=memory[2])  # noqa: S603 - named by kpsim itself
            mine_s = _waited_s("self")  # before this the child ran, and its own wait is what counts
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is dead and not gone: /proc still tells
            wall_s = time.perf_counter() - began_s
            waited_s = _waited_s("self") - mine_s + _waited_s(str(child.pid))
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said = os.pread(memory[2], 300, 0).decode(errors="replace").strip()
            raise Refused(f"{' '.join(given.command)}: exit {child.returncode}: {said}")
    except OSError as error:
        raise Refused(f"{given.command[0]}: {error.strerror}") from error
    finally:
        for each in memory:
            os.close(each)
    return Timed(max(wall_s - waited_s, used.ru_utime + used.ru_stime), used.ru_utime, used.ru_stime, used.ru_maxrss)


def _waited_s(process: str) -> float:
    """Return how long a process has been ready to run without a core [s]; 0 where the kernel does not say."""
    try:
        return int(Path("/proc", process, "schedstat").read_text(encoding="ascii").split()[1]) / NS_A_S
    except (OSError, IndexError):
        return 0.0
