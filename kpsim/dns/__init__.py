"""DNS in a cluster: what a name is answered with, which names a lookup tries, and how long a client waits for them.

Records come from Services and their endpoints (:mod:`kpsim.dns.names`), the names tried from a Pod's ``resolv.conf``
(:mod:`kpsim.dns.search`), the wait from queues of CoreDNS and of the node's own cache (:mod:`kpsim.dns.resolver`).
Left out: records of Pods by address, zone transfers, DNSSEC, autopath but for its price, stub domains, and the delay
from a change to CoreDNS' answer, which is the watch's.  The room knows neither the control plane nor who opens
connections.
"""
