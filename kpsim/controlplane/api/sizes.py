"""An object's bytes on the wire are the sum of a part that every object has, and a part for each endpoint.

The ``fields`` sizes are those of the protobuf encoding summed field by field (metadata with managedFields, then for
each endpoint its address, conditions, node, zone and the Pod it stands for); they differ with the length of names.
``kep-752`` takes 100 bytes an endpoint and nothing besides, as KEP-752's own arithmetic does.  Left out: JSON, which
is nearly twice as long, and that names differ within one cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kpsim.controlplane.params import ObjectSizesName
from kpsim.profiles.defaults import Defaults
from kpsim.units import I64

_ENDPOINT: Mapping[ObjectSizesName, str] = {
    "fields": "endpointslice.endpoint_bytes",
    "fields-aws": "object_sizes.endpoint_aws",
    "fields-short": "object_sizes.endpoint_short",
    "fields-hints": "endpointslice.endpoint_bytes",
    "kep-752": "object_sizes.endpoint_kep_752",
}


@dataclass(frozen=True, slots=True)
class ObjectSizes:
    """Bytes of an EndpointSlice, an Endpoints object and a Service."""

    slice_bytes: int
    endpoint_bytes: int
    hint_bytes: int  # more, for an endpoint with a zone hint
    service_bytes: int
    endpoints_bytes: int
    address_bytes: int

    @staticmethod
    def of(name: ObjectSizesName, defaults: Defaults) -> ObjectSizes:
        """Return the sizes a scenario asks for."""
        kep = name == "kep-752"
        each = int(defaults.value(_ENDPOINT[name]))
        hint = 0 if kep else int(defaults.value("object_sizes.hint"))
        each += hint if name == "fields-hints" else 0
        return ObjectSizes(
            slice_bytes=0 if kep else int(defaults.value("endpointslice.slice_bytes")),
            endpoint_bytes=each,
            hint_bytes=0 if name == "fields-hints" else hint,
            service_bytes=int(defaults.value("endpointslice.service_bytes")),
            endpoints_bytes=0 if kep else int(defaults.value("object_sizes.endpoints_object")),
            address_bytes=each if kep else int(defaults.value("object_sizes.endpoints_address")),
        )

    def endpoint_slice(self, endpoints: int, *, hinted: bool = False) -> int:
        """Return the bytes of an EndpointSlice, whose endpoints have zone hints or have not."""
        return self.slice_bytes + (self.endpoint_bytes + self.hint_bytes * hinted) * endpoints

    def endpoints_object(self, addresses: int) -> int:
        """Return the bytes of an Endpoints object."""
        return self.endpoints_bytes + self.address_bytes * addresses

    def listing(self, endpoints: I64, most: int) -> int:
        """Return the bytes of kube-proxy's lists: Services with ``endpoints`` (n,), and slices of at most ``most``."""
        slices = np.maximum(-(-endpoints // most), 1)
        total = slices.sum() * self.slice_bytes + endpoints.sum() * self.endpoint_bytes
        return int(total) + len(endpoints) * self.service_bytes
