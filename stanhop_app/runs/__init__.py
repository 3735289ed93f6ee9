"""Run folders: made, opened, measured, explained and exported."""
