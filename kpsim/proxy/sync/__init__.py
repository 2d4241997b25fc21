"""kube-proxy's sync loop: when it runs, how long it takes, and which rules are in force after it.

``process`` is one node as a SimPy process, ``lanes`` all nodes as arrays; ``loop`` (with ``pacing``, the
bounded-frequency runner, ``faults`` and ``draws``) serves both.  ``timeline`` and ``sums`` are closed forms of a node's
knowledge, ``inforce`` says when it holds.  The two families' proxiers of a node share the xtables lock.
Left out: large-cluster mode beyond its rarer clean-up.

Indices, each from 0, and arrays of them:

* node: a node; in arrays that hold all nodes side by side its column is its *lane*
* service, port: rows of the cluster's columns, of a Service and of a service port
* row: the place of a delivery in the log, in the order in which it was sent
* prefix: how many deliveries a node knows, which are rows 0 … prefix - 1
* state: a Service as it is known, service s at time zero as s, and after row r as n + r, where n Services are
* place: where a service port stands in the base order of a scanned list; its *rank* counts the rules before it
* sync: the number of a sync on its node
* edition: what is in force on a node, 0 at the start and one more with each sync (or delivery, where taken at once)

A *delivery* is a row of the log: a notice (the content of one write, as kube-proxy sees it) with the time it was sent.
"""

from __future__ import annotations

from kpsim.units import I32, I64

Nodes = I64
Services = I64
Ports = I64
Rows = I64
Prefixes = I64
States = I64
Places = I64
Editions = I64
Ragged = tuple[I64, I64 | I32]
"""Lists of different lengths: offsets (n + 1,) and values."""
