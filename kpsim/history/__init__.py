"""A run's history is drawn and played before an engine starts: churn, Pods, workloads, nodes, events.

Pods, workloads and nodes act on an event queue of their own; what comes out are changes, and a trace an event.
"""
