"""A server of forecasts over HTTP (extra ``serve``): a table or a window comes, a forecast goes.

    GET  /            what the server does, with an example
    GET  /model       columns, frequency, horizon, lookback
    POST /forecast    a table as JSON, CSV or Parquet, or a window of numbers -> JSON, CSV or Parquet
    GET  /openapi.json

Windows that arrive together go through the network together. Nothing is kept of what comes, and no page loads
anything from another host.
"""
