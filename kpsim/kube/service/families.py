"""The API server refuses faults in ``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy``.

A Service has one family unless it says otherwise; headless without a selector it has both.  Which families the cluster
has is asked in :mod:`kpsim.kube.validation`.

Source: pkg/apis/core/validation/validation.go (ValidateServiceClusterIPsRelatedFields) and
pkg/registry/core/service/storage/alloc.go (initIPFamilyFields).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kpsim.kube.fields import Fault, Fields
from kpsim.kube.objects import Service
from kpsim.kube.service.wording import address_faults, choice_faults, forbidden, invalid, is_v6

FAMILIES = ("IPv4", "IPv6")
POLICIES = ("SingleStack", "PreferDualStack", "RequireDualStack")

IPS = ("spec", "clusterIPs")
POLICY = ("spec", "ipFamilyPolicy")


def family_faults(service: Service, spec: Fields) -> Iterator[Fault]:
    """Yield the faults of a Service's addresses and families by themselves; ``spec`` is how it was written."""
    spec = Fields(spec.raw, spec.key, [])
    first, ips, families = spec.text("clusterIP"), spec.texts("clusterIPs"), spec.texts("ipFamilies")
    if service.type == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.raw.get(name):
                yield forbidden(("spec", name), "may not be set for ExternalName services")
        return
    yield from _families(families)
    if service.ip_family_policy:
        yield from choice_faults(service.ip_family_policy, POLICIES, POLICY)
    faults = list(_addresses(first, ips))
    yield from faults
    if not faults:
        yield from _together(ips or ((first,) if first else ()), families, service)


def _families(families: Sequence[str]) -> Iterator[Fault]:
    for index, family in enumerate(families):
        key = ("spec", "ipFamilies", index)
        yield from choice_faults(family, FAMILIES, key)
        if family in families[:index]:
            yield Fault(key, f'Duplicate value: "{family}"')


def _addresses(first: str, ips: Sequence[str]) -> Iterator[Fault]:
    """Yield faults of the addresses by themselves."""
    if first and ips and ips[0] != first:
        yield invalid(IPS, ips, "first value must match `clusterIP`")
    elif ips and not first:
        yield invalid(IPS, ips, "must be empty when `clusterIP` is not specified", f"write clusterIP: {ips[0]} too")
    if ips[:1] == ("None",) and len(ips) > 1:
        yield invalid(IPS, ips, "'None' must be the first and only value")
    elif len(ips) > 2:
        yield invalid(IPS, ips, "may only hold up to 2 values")
    else:
        mend = "or None for a headless Service"
        for key, ip in [(("spec", "clusterIP"), first), *(((*IPS, i), ip) for i, ip in enumerate(ips) if ip != first)]:
            if ip not in ("", "None"):
                yield from address_faults(ip, key, mend)
        if len(ips) == 2 and is_v6(ips[0]) == is_v6(ips[1]):
            yield invalid(IPS, ips, "may specify no more than one IP for each IP family")


def _together(ips: Sequence[str], families: Sequence[str], service: Service) -> Iterator[Fault]:
    """Addresses, families and policy that are right, but not together."""
    for index, (ip, family) in enumerate(zip(ips, families, strict=False)):
        if ip != "None" and family in FAMILIES and is_v6(ip) != (family == "IPv6"):
            key = (*IPS, index) if index else ("spec", "clusterIP")
            yield invalid(key, ip, f"expected an {family} value as indicated by `ipFamilies[{index}]`")
    selectorless = service.headless and not service.selector
    policy = service.ip_family_policy or ("RequireDualStack" if selectorless else "SingleStack")
    if policy == "SingleStack":
        several = "cluster IPs" if len(ips) == 2 else "IP families" if len(families) == 2 else ""
        why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {several} are specified"
        if several:
            yield invalid(POLICY, policy, why)
