"""kube-proxy's first mode, userspace: portals in iptables, and a proxy process that copies every byte itself.

``program`` builds one node's rules and sockets exactly, ``tracer`` follows a packet, ``text`` writes the commands that
kube-proxy runs one after the other, ``mode`` answers the engines in counts.
"""

from kpsim.modes.userspace.mode import Userspace

__all__ = ["Userspace"]
