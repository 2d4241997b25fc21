"""kube-proxy as such: the contract of a mode and its registry, a node's view, rules, and the sync loop in two forms.

It knows no mode (they stand in :mod:`kpsim.modes`), and neither packets nor engines.
"""
