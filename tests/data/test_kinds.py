"""Every table as people have them is read right, or refused with the way on."""

import io

import numpy as np
import pandas as pd
import pytest
from kinds import KINDS

from stanhop_app.data.frame import read_frame
from stanhop_app.errors import DataError, OptionError


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_table_is_read_right_or_refused(kind):
    source = io.BytesIO(kind.content)
    if kind.error is not None:
        with pytest.raises((DataError, OptionError)) as caught:
            read_frame(source, **kind.options)
        assert kind.error in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    frame = read_frame(source, **kind.options)
    assert list(frame.columns) == list(kind.values)
    for column, first in kind.values.items():
        np.testing.assert_allclose(frame[column].iloc[: len(first)], first, rtol=1e-12)
    if kind.start is not None:
        assert frame.index[0] == pd.Timestamp(kind.start, tz=frame.index.tz)
    if kind.frequency is not None:
        assert frame.index.freqstr == kind.frequency
    notes = frame.attrs["notes"]
    assert kind.says is None or any(kind.says in note for note in notes), notes
