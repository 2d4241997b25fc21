"""A running kube-proxy's own records are compared with a profile here, and fitted: readings meet modes and prices.

:mod:`observed` reads files, :mod:`pricing` counts the work of each sync and prices it, :mod:`comparing` says how many
times as long syncs take, :mod:`growing` how that grows with the rules, :mod:`fitting` and :mod:`posterior` fit,
:mod:`profile` makes the profile, :mod:`answer` puts it together.
"""
