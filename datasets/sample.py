"""The embedded sample: real hourly weather that needs no download."""

from pathlib import Path

from stanhop_app.datasets.checksum import verify

SHA256 = "7a3cec876d9d93ee051d5c80ab8dca9245a61628af9da869e7e7550c32003327"


def locate() -> Path:
    """Return the path of the shipped file, its checksum verified."""
    path = Path(__file__).with_name("sample.csv.gz")
    verify(path, SHA256)
    return path


RUN = Path(__file__).with_name("sample_run")
"""A small run of the sample (README.md says how it is made): what the dashboard shows where there is none."""
