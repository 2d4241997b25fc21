"""One mode's run becomes observations: tallies and counts small enough to travel between processes.

:func:`~kpsim.experiment.observing.observe.observe` asks one observer after another; each is a module here and knows one
part of a run: packets, syncs, programming of changes, an Ingress controller, events, balance, the control plane.  The
warm-up is cut here, and nothing is summed over replications.
"""
