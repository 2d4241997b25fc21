"""What happens in a run, drawn and played before an engine starts: churn, Pods, workloads, nodes, events.

Pods, workloads and nodes act on an agenda of their own; what comes out are changes, and a trace of each event.
"""
