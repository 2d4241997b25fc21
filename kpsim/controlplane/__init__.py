"""From a change to a delivery: controllers, API server, watch.

A Pod's change reaches the EndpointSlice controller's informer, dirties Services, costs slice writes through a work
queue and a token bucket, and each committed write goes out to every node's watch.  Event-driven, because order matters
here; the fan-out is arithmetic, because there are thousands of nodes.  Left out so far: priority and fairness, relist,
the Endpoints controller, node lifecycle, DNS.
"""

__all__: list[str] = []
