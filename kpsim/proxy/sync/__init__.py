"""kube-proxy's sync loop: when it runs, how long it takes, and which rules are in force after it.

``process`` is one node as a SimPy process, ``lanes`` all nodes as arrays; ``loop`` (with ``pacing``, the
bounded-frequency runner, ``faults`` and ``draws``) serves both.  ``timeline``, ``locality`` and ``prefix`` are closed
forms of what a node knows, ``inforce`` says when it holds.  Left out: large-cluster mode beyond its rarer clean-up.
"""
