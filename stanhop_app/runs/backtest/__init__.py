"""Forecasts at many cut-offs of a table, each by what was known then, beside what came."""
