"""Forecasting: tables, windows, baselines, the estimator, its scores and its artefact."""
