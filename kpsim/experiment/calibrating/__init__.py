"""A running kube-proxy's own records are compared with a profile here, and fitted: readings meet modes and prices.

:mod:`observed` reads files, :mod:`pricing` counts the work of each sync and prices it, :mod:`comparing` says how many
times as long syncs take, :mod:`posterior` fits, :mod:`profile` writes, :mod:`answer` puts it together.
"""
