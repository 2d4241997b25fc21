"""What the tests need of the machine, and the reason that is given where it is missing.

A kernel feature is asked for with rules written here by hand, never with kpsim's: a mistake in kpsim's text must fail
a test and not skip it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.kernel.namespaces import Namespace, Refused

__all__ = ["need"]

XTABLES = """*filter
:PROBE - [0:0]
-A PROBE -m conntrack --ctstate INVALID -j DROP
-A PROBE -p tcp -m comment --comment "a comment" -m tcp --dport 80 -m addrtype --dst-type LOCAL -j REJECT
COMMIT
*nat
:PROBE - [0:0]
:OTHER - [0:0]
-A PROBE -m mark ! --mark 0x4000/0x4000 -j RETURN
-A PROBE -j MARK --xor-mark 0x4000
-A PROBE -p sctp -m sctp --dport 80 -m statistic --mode random --probability 0.5000000000 -j OTHER
-A PROBE -m recent --name probe --rcheck --seconds 10 --reap -j OTHER
-A PROBE -m nfacct --nfacct-name localhost_nps_accepted_pkts -j OTHER
-A OTHER -p udp -m recent --name probe --set -j DNAT --to-destination 192.0.2.1:80
-A OTHER -j MASQUERADE --random-fully
COMMIT
"""
NFT = """table ip probe {
  set few { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
  map ways { type ipv4_addr . inet_proto . inet_service : verdict; }
  chain reject-chain { reject; }
  chain one { meta l4proto tcp dnat to 192.0.2.1:80; }
  chain two { update @few { ip saddr }; meta mark set mark or 0x4000; return; }
  chain entry {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local ip daddr . meta l4proto . th dport vmap @ways
    numgen random mod 2 vmap { 0 : goto one, 1 : goto two }
  }
  chain exit { type nat hook postrouting priority srcnat; policy accept; masquerade fully-random; }
  chain door { type filter hook input priority 0; policy accept; ct state new jump reject-chain; }
}
"""
COMMANDS = {
    "legacy": ("iptables-legacy-restore", "--noflush"),
    "nft": ("iptables-nft-restore", "--noflush"),
    "nftables": ("nft", "-f", "-"),
}


def need(mode: str = "", family: str = "IPv4") -> None:
    """Skip the test unless namespaces can be made and all that ``mode`` takes is there.

    Modes are legacy, nft (iptables on nf_tables) and nftables.
    """
    reason = _machine() or (_tables(mode, family) if mode else "")
    if reason:
        pytest.skip(reason)


@cache
def _machine() -> str:
    if sys.platform != "linux":
        return f"needs Linux, this is {sys.platform}"
    if os.geteuid():
        return "needs root, to make network namespaces"
    if not shutil.which("ip"):
        return "needs ip, of the package iproute2"
    try:
        inside = Namespace.make()
        try:
            inside.sysctl(ip_forward=1)
        finally:
            inside.close()
    except OSError as error:
        return f"needs network namespaces of its own to configure: {error}"
    return ""


@cache
def _tables(mode: str, family: str) -> str:
    tool, *options = COMMANDS[mode]
    text = NFT if mode == "nftables" else XTABLES
    if family == "IPv6":
        tool = tool.replace("iptables", "ip6tables")
        text = text.replace("table ip ", "table ip6 ").replace(" ip ", " ip6 ").replace("ipv4_addr", "ipv6_addr")
        text = text.replace("192.0.2.1:80", "[2001:db8::1]:80")
    if not shutil.which(tool):
        return f"needs {tool}, of the package {'nftables' if tool == 'nft' else 'iptables'}"
    inside = Namespace.make()
    try:
        with tempfile.TemporaryDirectory() as folder:
            if tool != "nft":
                inside.add_counters()
            inside.run((tool, *options), text, Path(folder, "lock"))
    except (OSError, Refused) as error:
        return f"needs a kernel with what kube-proxy's rules use: {error}"
    finally:
        inside.close()
    return ""
