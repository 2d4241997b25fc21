"""The API server refuses some ``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy``, by these rules.

It looks twice: once by themselves (:func:`family_faults`), once with the families the cluster has, when it fills in
what was left out (:func:`fill_in_families`).  The first look's faults hide the second's.

Source: pkg/apis/core/validation/validation.go (ValidateServiceClusterIPsRelatedFields, validateUpgradeDowngrade…) and
pkg/registry/core/service/storage/alloc.go (initIPFamilyFields).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kpsim.documents import Key
from kpsim.kube.fields import Fault
from kpsim.kube.server.addresses import family_of, ip_faults, is_v6
from kpsim.kube.server.refusals import choice_faults, duplicate, invalid, required

Spec = dict[str, Any]

FAMILIES = ("IPv4", "IPv6")
POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
BOTH_FAMILIES = "write ipFamilies: [IPv4, IPv6] below cluster"

IPS: Key = ("spec", "clusterIPs")
FAMILY: Key = ("spec", "ipFamilies")
POLICY: Key = ("spec", "ipFamilyPolicy")
FIXED = "may not change once set"


def is_headless(spec: Mapping[str, Any]) -> bool:
    """Return True if a Service has no virtual IP by request."""
    return list(spec.get("clusterIPs") or ()) == ["None"]


def ips_of(spec: Mapping[str, Any]) -> list[str]:
    """Return a Service's ``clusterIPs``; none is an empty list."""
    return list(spec.get("clusterIPs") or ())


def families_of(spec: Mapping[str, Any]) -> list[str]:
    """Return a Service's ``ipFamilies``; none is an empty list."""
    return list(spec.get("ipFamilies") or ())


def family_faults(spec: Spec, old: Mapping[str, Any], *, strict: bool) -> Iterator[Fault]:
    """Yield the faults of a Service's addresses and families by themselves."""
    if spec["type"] == "ExternalName":
        return
    first, ips, families = spec.get("clusterIP") or "", ips_of(spec), families_of(spec)
    if first and not ips:
        yield required(IPS)
    elif first and ips[0] != first:
        yield invalid(IPS, ips, "first value must match `clusterIP`")
    elif ips and not first:
        yield invalid(IPS, ips, "must be empty when `clusterIP` is not specified", f"write clusterIP: {ips[0]} too")
    for index, family in enumerate(families):
        yield from choice_faults(family, FAMILIES, (*FAMILY, index))
        if family in families[:index]:
            yield duplicate((*FAMILY, index), family)
    if spec.get("ipFamilyPolicy") is not None:
        yield from choice_faults(spec["ipFamilyPolicy"], POLICIES, POLICY)
    malformed = list(_malformed(ips, ips_of(old), strict))
    yield from malformed
    if len(ips) > 2:
        yield invalid(IPS, ips, "may only hold up to 2 values")
    if not malformed:
        yield from _together(ips, families, headless=is_headless(spec))


def _malformed(ips: Sequence[str], old: Sequence[str], strict: bool) -> Iterator[Fault]:
    for index, ip in enumerate(ips):
        if index == 0 and ip == "None":
            if len(ips) > 1:
                yield invalid(IPS, ips, "'None' must be the first and only value")
        else:
            yield from ip_faults(ip, (*IPS, index), strict=strict, old=old, mend="or None for a headless Service")


def _together(ips: Sequence[str], families: Sequence[str], *, headless: bool) -> Iterator[Fault]:
    """Addresses and families that are right, but not together."""
    if len(ips) > 1 and len({is_v6(ip) for ip in ips}) < 2:
        yield invalid(IPS, ips, "may specify no more than one IP for each IP family")
    for index, (ip, family) in enumerate(zip(ips, families, strict=False)):
        if not headless and family in FAMILIES and family != family_of(ip):
            yield invalid((*IPS, index), ip, f"expected an {family} value as indicated by `ipFamilies[{index}]`")


def change_faults(spec: Spec, old: Spec) -> Iterator[Fault]:
    """Yield a fault for each primary address or family an update changes, or secondary it drops without saying so."""
    if "ExternalName" in (spec["type"], old["type"]):
        return
    if not (is_headless(spec) and is_headless(old)):
        yield from _changed(ips_of(spec), ips_of(old), IPS, spec, "secondary clusterIP")
    if not is_headless(spec) and not is_headless(old):
        yield from _changed(families_of(spec), families_of(old), FAMILY, spec, "secondary ipFamily")


def _changed(new: Sequence[str], old: Sequence[str], key: Key, spec: Spec, secondary: str) -> Iterator[Fault]:
    first = (*key, 0)
    if len(new) == len(old):
        for index, (now, before) in enumerate(zip(new, old, strict=True)):
            if now != before:
                yield invalid((*key, index) if key == IPS else first, new, FIXED)
        return
    if len(new) < len(old) and not (new if key == IPS else ips_of(spec)):
        what = "clusterIP" if key == IPS else "ipFamily"
        yield invalid(first, new, f"primary {what} can not be unset")
    if new and old and new[0] != old[0]:
        yield invalid(first, new, FIXED)
    if len(new) == 1 and len(old) > 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        yield invalid(
            POLICY, spec.get("ipFamilyPolicy"), f"must be set to 'SingleStack' when releasing the {secondary}"
        )


def fill_in_families(spec: Spec, old: Spec | None, cluster: Sequence[str], *, strict: bool) -> list[Fault]:
    """Fill in families and policy as this cluster has them (``cluster``: the default first); give what is wrong.

    The order matters: whatever is wrong at one stage ends the look at the next.
    """
    if spec["type"] == "ExternalName" or (old is not None and _settled(spec, old)):
        return []
    alone = spec.get("clusterIP") == "None" and not spec.get("selector")
    if spec.get("ipFamilyPolicy") is None:
        inherited = (old or {}).get("ipFamilyPolicy")
        spec["ipFamilyPolicy"] = inherited or ("RequireDualStack" if alone else "SingleStack")
    if faults := list(family_faults(spec, old or {}, strict=strict)):
        return faults
    if faults := [*_released(spec, old), *_several(spec), *_inferred(spec, cluster)]:
        return faults
    policy, families = spec["ipFamilyPolicy"], families_of(spec)
    if not alone:
        if policy == "RequireDualStack" and len(cluster) < 2:
            why = "this cluster is not configured for dual-stack services"
            faults.append(invalid(POLICY, policy, why, BOTH_FAMILIES))
        for index, family in enumerate(families):
            if family not in cluster:
                why = "not configured on this cluster"
                faults.append(invalid((*FAMILY, index), family, why, BOTH_FAMILIES))
        if faults:
            return faults
    families = families or [cluster[0]]
    if len(families) == 1 and policy != "SingleStack" and (alone or len(cluster) == 2):
        families.append("IPv6" if families[0] == "IPv4" else "IPv4")
    spec["ipFamilies"] = families
    return []


def _settled(spec: Spec, old: Spec) -> bool:
    """An update that leaves a PreferDualStack Service as it is, whatever became of the cluster."""
    prefer = "PreferDualStack"
    return (
        spec["type"] == old["type"]
        and spec.get("ipFamilyPolicy") == prefer
        and old.get("ipFamilyPolicy") in (None, prefer)
        and ips_of(spec) == ips_of(old)
        and families_of(spec) == families_of(old)
    )


def _released(spec: Spec, old: Spec | None) -> Iterator[Fault]:
    """An update's secondary address and family: let go where the policy says so, else an error to leave out."""
    if old is None:
        return
    for name, known in (("clusterIPs", ips_of(old)), ("ipFamilies", families_of(old))):
        new = list(spec.get(name) or ())
        if spec["ipFamilyPolicy"] == "SingleStack":
            if new == known and len(new) > 1:
                spec[name] = new[:1]
        elif new and len(new) < len(known):
            what = "cluster IP" if name == "clusterIPs" else "IP family"
            yield invalid(POLICY, spec["ipFamilyPolicy"], f"must be 'SingleStack' to release the secondary {what}")


def _several(spec: Spec) -> Iterator[Fault]:
    for several, values in (("cluster IPs", ips_of(spec)), ("IP families", families_of(spec))):
        if spec["ipFamilyPolicy"] == "SingleStack" and len(values) == 2:
            why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {several} are specified"
            yield invalid(POLICY, "SingleStack", why)


def _inferred(spec: Spec, cluster: Sequence[str]) -> Iterator[Fault]:
    """Take families from the addresses, where only those were given."""
    families = families_of(spec)
    for index, ip in enumerate(ips_of(spec)):
        if ip == "None":
            break
        if index >= len(families):
            if family_of(ip) in cluster:
                families.append(family_of(ip))
            else:
                yield invalid((*IPS, index), ip, f"{family_of(ip)} is not configured on this cluster", BOTH_FAMILIES)
    if families:
        spec["ipFamilies"] = families
