"""``ABOUT`` tells this mode's changes by release, the parts modelled, and the parts left out."""

from __future__ import annotations

from kpsim.proxy.contract import ModeAbout

ABOUT = ModeAbout(
    history=(
        ((1, 8), "alpha"),
        ((1, 9), "beta"),
        ((1, 11), "generally available"),
        ((1, 24), "47 processes in a sync that changes nothing"),
        ((1, 25), "49 of them; KUBE-PROXY-FIREWALL and KUBE-SOURCE-RANGES-FIREWALL"),
        ((1, 26), "53 of them; KUBE-IPVS-FILTER, and the set KUBE-IPVS-IPS"),
        ((1, 29), "55 of them; KUBE-IPVS-OUT-FILTER"),
        ((1, 34), "the runner without bursts; still a sync every syncPeriod when nothing changes"),
        ((1, 35), "deprecated (KEP-5495)"),
        ((1, 37), "the gate KubeProxyIPVS, on"),
        ((1, 40), "off by default, as planned"),
        ((1, 43), "removed, as planned"),
    ),
    modelled=(
        "virtual and real servers, the 17 ipsets, the chains around them, a sync's processes by release and netlink "
        "calls every syncPeriod, an ipset process an entry that comes or goes, addresses on kube-ipvs0"
    ),
    left_out=(
        "schedulers that look at connections (modelled as rr), persistence in the engines, real servers of weight 0 "
        "that are read while they wait for their connections' end, chains before 1.29 in `rules`"
    ),
)
