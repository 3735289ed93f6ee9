"""Errors that a user can mend. Each message is one line: what, where, and what to do."""


class DataError(ValueError):
    """A table that cannot be used as it is; names the file or frame, the column and the row."""


class ArtefactError(ValueError):
    """A run folder that is missing, damaged, foreign, or made by a newer format."""


class TrainingError(RuntimeError):
    """Training that cannot go on, such as a loss that is not finite."""


class ExportError(RuntimeError):
    """An export that is not possible: what is missing, or what the export does that the network does not."""


class ConversionError(ExportError):
    """A network that an exporter cannot express."""
