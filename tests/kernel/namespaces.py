"""The namespaces that kpsim measures in, with what tests want beside: TCP, and counters of nfacct."""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass

from kpsim.calibration.bench.namespaces import Namespace as Bare
from kpsim.calibration.bench.namespaces import Refused

__all__ = ["Namespace", "Refused"]

COUNTERS = (b"localhost_nps_accepted_pkts", b"ct_state_invalid_dropped_pkts")  # as kube-proxy calls them


@dataclass(frozen=True)
class Namespace(Bare):
    """One network namespace, held open by a file descriptor."""

    def tcp(self) -> socket.socket:
        """A TCP socket whose whole world is this namespace."""
        return self.socket(socket.SOCK_STREAM)

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
