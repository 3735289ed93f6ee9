"""The analogue figure of an easy, a hard and a novel test window of ETTh1, as PNG files.

    python tests/benchmarks/external/figure.py RUN [--output FOLDER] [--chromium chromium]

RUN is a run of ``stanhop train etth1 --memory plug``. Easy is the test window, of 300 evenly over the part, to
which the memory is nearest in error to nothing: the one of least squared error of those whose forecast it
moves most; hard is the one of the largest error, novel that of the highest energy.
"""
