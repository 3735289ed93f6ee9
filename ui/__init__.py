"""The dashboard. One file a page: widgets in, one library call, one figure out."""

UPLOAD_MEGABYTES = 200
"""Largest table that the dashboard takes."""
