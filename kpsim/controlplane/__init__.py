"""From a change to a delivery: controllers, API server, watch.

A Pod's change reaches the EndpointSlice controller's informer, dirties Services, costs slice writes through a work
queue, a token bucket and the API server's seats, and each committed write goes out to every node's watch.
Event-driven, because order matters here; the fan-out is arithmetic, because there are thousands of nodes.  What Pods
and nodes do is played in :mod:`kpsim.history`.  Left out: etcd's group commits, controllers that do not write Services'
endpoints, changes of Endpoints that are mirrored (what a file has of them is, when it is read), and node changes that
only move topology hints.
"""
