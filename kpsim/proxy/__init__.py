"""kube-proxy: the contract of a mode, the modes, and the sync loop in two forms (arrays and SimPy processes)."""
