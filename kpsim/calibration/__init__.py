"""Readings become coefficients with intervals here: records of measurements, terms that explain them, and fits.

Nothing here knows a proxy mode: counts come in as plain numbers, from :mod:`kpsim.experiment.validation`.
"""
