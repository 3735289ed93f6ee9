"""Errors that a user can mend. Each message is one line: what, where, and what to do.

All have one base, so that whoever calls can tell them from defects: the command line makes one line and an
exit code of a `StanhopError`, and calls every other exception a defect of stanhop.
"""


class StanhopError(Exception):
    """Anything that this package refuses."""


class OptionError(StanhopError, ValueError):
    """An option, an argument or a name that cannot be, alone or with others."""


class DataError(StanhopError, ValueError):
    """A table that cannot be used as it is; names the file or frame, the column and the row."""


class ArtefactError(StanhopError, ValueError):
    """A run folder that is missing, damaged, foreign, or made by a newer format."""


class CheckpointError(ArtefactError):
    """A checkpoint of another configuration or of another version of the loop."""


class TrainingError(StanhopError, RuntimeError):
    """Training that cannot go on, such as a loss that is not finite."""


class ExportError(StanhopError, RuntimeError):
    """An export that is not possible: what is missing, or what the export does that the network does not."""


class ConversionError(ExportError):
    """A network that an exporter cannot express."""
