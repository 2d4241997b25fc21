"""Predictions against measurements as a page: scores by topic and bound, figures, contradictions between studies.

It knows no model: verdicts come from :mod:`kpsim.experiment.validation`, bounds from ``calibration/bounds.yaml``.
"""
