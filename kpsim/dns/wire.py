"""The size of an answer on the wire, and the size from which UDP truncates it.

An answer that is larger than the client takes comes back truncated, and the client asks again over TCP.  Compression is
CoreDNS' own: a record's owner is a pointer of two bytes, targets of SRV records are written out.
Sources: RFC 1035 section 4.1, RFC 2782, RFC 6891; coredns/coredns plugin/bufsize (1,232 bytes).
"""

from __future__ import annotations

from kpsim.dns.names import Answer, Record

PLAIN_BYTES = 512  # a client without EDNS, such as glibc and musl as they come
EDNS_BYTES = 1232

HEADER = 12
QUESTION = 4  # type and class, after the name
FIXED = 12  # of a record: pointer to its owner, type, class, time to live, length
OPT = 11  # the pseudo-record that announces EDNS
SOA_FIXED = 20  # five numbers of a denial's SOA
SOA_NAMES = len("\2ns\3dns") + 2 + len("\nhostmaster") + 2 - 1  # both ending in pointers
SRV_FIXED = 6


def answer_bytes(answer: Answer, *, edns: bool = False) -> int:
    """Size of an answer [bytes]; a denial carries the zone's SOA."""
    records = sum(_record_bytes(record) for record in answer.records)
    denial = FIXED + SOA_NAMES + SOA_FIXED if answer.outcome in ("no data", "NXDOMAIN") else 0
    return HEADER + _name_bytes(answer.name) + QUESTION + records + denial + (OPT if edns else 0)


def truncated(answer: Answer, *, edns: bool = False) -> bool:
    """Return True if the answer does not fit into one UDP packet."""
    return answer_bytes(answer, edns=edns) > (EDNS_BYTES if edns else PLAIN_BYTES)


def most_addresses(name: str, *, edns: bool = False) -> int:
    """Return the largest number of IPv4 addresses of ``name`` that fit into one UDP packet."""
    room = (EDNS_BYTES - OPT if edns else PLAIN_BYTES) - HEADER - _name_bytes(name) - QUESTION
    return room // (FIXED + 4)


def _name_bytes(name: str) -> int:
    return len(name.rstrip(".")) + 2


def _record_bytes(record: Record) -> int:
    match record.kind:
        case "A":
            return FIXED + 4
        case "AAAA":
            return FIXED + 16
        case "SRV":
            target = record.value.rpartition(" ")[2]
            return FIXED + SRV_FIXED + _name_bytes(target)
        case _:
            return FIXED + _name_bytes(record.value)
