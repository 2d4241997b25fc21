"""A run's history is drawn and played before an engine starts: churn, Pods, workloads, nodes, events.

Pods, workloads and nodes act in a SimPy environment of their own; what comes out are changes, and a trace an event.
"""
