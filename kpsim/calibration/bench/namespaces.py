"""Network namespaces without a name: nothing of them shows on the host, and they end with the process that made them.

A namespace belongs to a thread.  A socket stays in the one where it was made and a child process starts in its
parent's, so entering one for the moment of making either is all it takes.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID = 0x40000000, 0x00020000, 0x20000000
LONGEST = 300  # characters of a complaint
_SET_PARENT_DEATH_SIGNAL, _SIGKILL = 1, 9
_MINE = "/proc/thread-self/ns/net"
_FLUSH_CONNTRACK = struct.pack("=IHHII", 20, 1 << 8 | 2, 0x5, 1, 0) + struct.pack("=BBH", socket.AF_INET, 0, 0)
_NETFILTER = 12  # protocol of netlink


class Refused(Exception):
    """A tool or the kernel said no; the text is its own."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """One network namespace, held open by a file descriptor."""

    fd: int

    @classmethod
    def make(cls) -> Self:
        """Return a new one; the calling thread is back where it was afterwards."""
        home = _here()
        try:
            unshare(CLONE_NEWNET)
            try:
                return cls(_here())
            finally:
                _call("setns", home, CLONE_NEWNET)
        finally:
            os.close(home)

    def close(self) -> None:
        """Let go of it: when the last socket in it is closed, too, the kernel removes it and all its rules."""
        os.close(self.fd)

    @property
    def path(self) -> str:
        """Return what ``ip`` takes for a name."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Whatever this thread makes inside belongs to this namespace."""
        home = _here()
        try:
            _call("setns", self.fd, CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", home, CLONE_NEWNET)
        finally:
            os.close(home)

    def run(self, command: Sequence[str], text: str = "", lock: Path | None = None) -> str:
        """Give ``text`` to a tool in here and return what it prints.

        ``lock`` stands in for /run/xtables.lock.  Raises :class:`Refused` with its complaint.
        """
        environment = {**os.environ, **({"XTABLES_LOCKFILE": str(lock)} if lock else {})}
        with self.entered():
            done = subprocess.run(  # noqa: S603 - named by kpsim itself
                command, input=text, capture_output=True, text=True, check=False, env=environment
            )
        if done.returncode:
            raise Refused(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[:LONGEST]}")
        return done.stdout

    def ip(self, *lines: str) -> None:
        """Carry out lines of ``ip -batch``, all or an exception."""
        self.run(("ip", "-batch", "-"), "\n".join(lines) + "\n")

    def sysctl(self, **settings: int) -> None:
        """Set values below net.ipv4, here and nowhere else; two underscores stand for a dot."""
        with self.entered():
            for name, value in settings.items():
                Path("/proc/sys/net/ipv4", *name.split("__")).write_text(f"{value}\n", encoding="ascii")

    def socket(self, kind: socket.SocketKind) -> socket.socket:
        """Return an IPv4 socket whose whole world is this namespace."""
        with self.entered():
            return socket.socket(socket.AF_INET, kind)

    def forget_connections(self) -> None:
        """Empty the table of connections in here, by netlink."""
        with self.entered(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as netlink:
            netlink.settimeout(5)
            netlink.send(_FLUSH_CONNTRACK)
            (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
        if error:
            raise Refused(f"flushing connections: {os.strerror(-error)}")


def unshare(kinds: int) -> None:
    """Give this thread namespaces of its own.  Raises ``OSError``."""
    _call("unshare", kinds)


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, and end at once if that has happened already."""
    _call("prctl", _SET_PARENT_DEATH_SIGNAL, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _here() -> int:
    return os.open(_MINE, os.O_RDONLY | os.O_CLOEXEC)


def _call(name: str, *arguments: int) -> None:
    """Make a system call through libc that Python does not offer in every release."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
