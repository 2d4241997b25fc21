"""kube-proxy on Windows: HNS load balancers, the endpoints behind them, a packet's way, and what a sync asks of HNS.

``backends`` says who takes a service port's traffic; ``policies`` what HNS holds; ``program`` builds one node's rules
exactly; ``tracer`` follows a packet; ``text`` prints what ``hnsdiag`` would list; ``mode`` answers the engines.
"""

from kpsim.modes.kernelspace.mode import Kernelspace

__all__ = ["Kernelspace"]
