"""Plotly figures from data. Command line, reports and dashboard draw with these and nothing else."""
