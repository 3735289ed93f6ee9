"""Where work over many series runs: processes of this machine, or Ray (extra ``ray``).

A table that is larger than memory is read block by block, and every block becomes one file. Floors below
know nothing of it: a worker opens a run and forecasts as `STanHopForecaster.predict` does.
"""
