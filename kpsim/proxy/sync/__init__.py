"""kube-proxy's sync loop: when it runs, how long it takes, and which rules are in force after it.

``process`` is one node as a SimPy process, ``lanes`` all nodes as arrays; ``pacing`` (the bounded-frequency runner) and
``draws`` serve both, ``timeline`` and ``prefix`` are the closed forms of what a node knows.  Left out: failures and
retries, start-up and relist, large-cluster mode beyond its rarer clean-up.
"""

__all__: list[str] = []
