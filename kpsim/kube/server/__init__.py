"""An API server's judgement of one object: refused and why, or taken, with its defaults and what it warns about.

It models create and update of Services, EndpointSlices and Nodes as ``kubectl`` sends them (unknown fields are
refused), by version.  It leaves out authorization, admission plugins and other kinds, and knows nothing of files.

Source: pkg/registry/core/service/storage, pkg/apis/core/validation and pkg/apis/discovery/validation of 1.34 and 1.36.
"""

from kpsim.kube.server.allocation import ApiServer

__all__ = ["ApiServer"]
