"""Queues as arrays, in closed form: every customer of every queue at once, in integer nanoseconds, exact.

One server whose customers take times of their own is Lindley's recursion: a running sum and a running maximum.  Where
several servers all take the same constant time, customers leave in the order in which they came; so customer ``n`` gets
the server that customer ``n - c`` leaves, and a queue of ``c`` servers is ``c`` queues of one, dealt in turn.
Sources: Lindley, "The theory of queues with a single server", 1952; Kiefer and Wolfowitz, "On the theory of queues with
many servers", 1955; Crommelin, "Delay probability formulae when the holding times are constant", 1932.
"""

from __future__ import annotations

import numpy as np

from kpsim.units import I64

LONG_AGO = -(1 << 62)


def lindley(arrival: I64, cost: I64) -> I64:
    """Return the start of service in one queue with one server [ns], (n,): arrivals in order.

    >>> lindley(np.array([0, 3, 30]), np.array([10, 10, 5])).tolist()
    [0, 10, 30]
    """
    before = np.cumsum(cost)
    before -= cost
    start = arrival - before
    np.maximum.accumulate(start, out=start)
    start += before
    return start


def last_starts(arrival_ns: I64, queue: I64, size: I64, servers: int, service_ns: int) -> I64:
    """Return the start of service of each group's last customer [ns], (n,); its arrival, where it has none.

    Parameters
    ----------
    arrival_ns
        of each group, whose customers arrive at once, (n,); at the same instant, the lower number goes first.
    queue
        which each group joins, (n,).
    size
        customers in each group, (n,).
    servers, service_ns
        of every queue, and the time that every customer takes.
    """
    total = int(size.sum())
    if not total:
        return arrival_ns.copy()
    begin = int(arrival_ns.min())
    epoch = int(arrival_ns.max()) - begin + service_ns * (total // servers + 2) + 1
    axis = queue * epoch + (arrival_ns - begin)  # all queues one after another on one axis
    order = np.argsort(axis, kind="stable")
    groups, at = size[order], axis[order]
    last = np.maximum(np.cumsum(groups) - 1, 0)  # place of each group's last customer in the whole line
    if servers == 1:
        before = (np.cumsum(groups) - groups) * service_ns
        start = np.maximum.accumulate(at - before) + last * service_ns
    else:
        start = _dealt(np.repeat(at, groups), np.repeat(queue[order], groups), servers, service_ns)[last]
    out = np.empty(len(at), np.int64)
    out[order] = np.where(groups > 0, start, at)
    return np.asarray(out - queue * epoch + begin)


def starts(arrival_ns: I64, queue: I64, servers: int, service_ns: int) -> I64:
    """Return the start of service of customers that arrive one by one [ns], (n,)."""
    return last_starts(arrival_ns, queue, np.ones(len(arrival_ns), np.int64), servers, service_ns)


def _dealt(at: I64, queue: I64, servers: int, service_ns: int) -> I64:
    """Start of each customer, in line order, where every queue begins on a row of its own of ``servers``."""
    count = np.bincount(queue)
    rows = -(-count // servers)
    offset = (np.cumsum(rows) - rows) * servers - (np.cumsum(count) - count)
    place = np.arange(len(at)) + offset[queue]
    table = np.full(int(rows.sum()) * servers, LONG_AGO)
    table[place] = at
    dealt = table.reshape(-1, servers)
    done = np.arange(len(dealt))[:, None] * service_ns
    start = np.maximum.accumulate(dealt - done, axis=0) + done
    return np.asarray(start.ravel()[place])
