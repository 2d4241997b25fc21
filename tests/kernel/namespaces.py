"""Network namespaces without a name: nothing of them shows on the host, and they end with the process that made them.

A namespace belongs to a thread.  A socket stays in the one where it was made and a child process starts in its
parent's, so entering one for the moment of making either is all it takes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Namespace", "Refused"]

CLONE_NEWNET = 0x40000000
MINE = "/proc/thread-self/ns/net"
COUNTERS = (b"localhost_nps_accepted_pkts", b"ct_state_invalid_dropped_pkts")  # as kube-proxy calls them


class Refused(Exception):
    """A tool or the kernel said no; the text is its own."""


@dataclass(frozen=True)
class Namespace:
    """One network namespace, held open by a file descriptor."""

    fd: int

    @classmethod
    def make(cls) -> Namespace:
        """A new one; the calling thread is back where it was afterwards."""
        home = _here()
        try:
            _call("unshare", CLONE_NEWNET)
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
        """What ``ip`` takes for a name."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread makes inside belongs to this namespace."""
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
        """What a tool prints when it is given ``text``; its complaint as :class:`Refused`.

        ``lock`` stands in for /run/xtables.lock, which the host's own kube-proxy would hold.
        """
        more = {"XTABLES_LOCKFILE": str(lock)} if lock else {}
        with self.entered():
            done = subprocess.run(
                command, input=text, capture_output=True, text=True, check=False, env={**os.environ, **more}
            )
        if done.returncode:
            raise Refused(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[:2000]}")
        return done.stdout

    def ip(self, *lines: str) -> None:
        """Carry out lines of ``ip -batch``, all or an exception."""
        self.run(("ip", "-batch", "-"), "\n".join(lines) + "\n")

    def sysctl(self, **settings: int) -> None:
        """Set values below net.ipv4, here and nowhere else; two underscores stand for a dot."""
        with self.entered():
            for name, value in settings.items():
                Path("/proc/sys/net/ipv4", *name.split("__")).write_text(f"{value}\n", encoding="ascii")

    def tcp(self) -> socket.socket:
        """A TCP socket whose whole world is this namespace."""
        with self.entered():
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def add_counters(self) -> None:
        """Make the nfacct counters that rules name, as kube-proxy does: by netlink."""
        for name in COUNTERS:
            self._add_counter(name)

    def _add_counter(self, name: bytes) -> None:
        attribute = struct.pack("=HH", 4 + len(name) + 1, 1) + name + b"\0"
        body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0) + attribute.ljust(
            -len(attribute) % 4 + len(attribute), b"\0"
        )
        request, create, acknowledge, new_counter = 0x1, 0x400, 0x4, 7 << 8
        head = struct.pack("=IHHII", 16 + len(body), new_counter, request | create | acknowledge, 1, 0)
        with self.entered(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
            netlink.settimeout(5)
            netlink.send(head + body)
            (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
        if -error not in (0, errno.EBUSY):  # busy: it is there
            raise Refused(f"the counter {name.decode()}: {os.strerror(-error)}")


def _here() -> int:
    return os.open(MINE, os.O_RDONLY | os.O_CLOEXEC)


def _call(name: str, *arguments: int) -> None:
    """A system call of libc's that Python offers only from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
