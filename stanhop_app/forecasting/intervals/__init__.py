"""Intervals, quantiles and sample paths of what a forecaster forecasts."""
