"""What "quick", two minutes at most on two cores, and "full" mean for every experiment."""

PATTERNS = {"quick": (10, 30, 100, 300), "full": (10, 20, 50, 100, 200, 500, 1000, 1500)}
"""Numbers of stored patterns whose capacity is measured."""
LEVELS = {"quick": (0, 2, 4, 8), "full": (0, 1, 2, 3, 4, 6, 8, 12, 16)}
"""Norms of the noise, in norms of a pattern."""
BETAS = {
    "quick": (1, 5, 10, 20, 50, 100),
    "full": (1, 2, 5, 10, 15, 20, 30, 50, 100, 200, 500),
}
"""Inverse temperatures."""
DIMS = {"quick": (4, 6, 8, 10), "full": (4, 5, 6, 7, 8, 9, 10, 11, 12, 13)}
"""Dimensions of the patterns whose storage is measured."""
REPEATS = {"quick": 5, "full": 20}
"""Repeats of the experiments of capacity and noise."""
WIDTHS = {
    "quick": ((4, 6, 8, 12), (0, 1), 400),
    "full": ((4, 6, 8, 12, 16, 24, 32), (0, 1, 2), 4000),
}
"""Widths, seeds and steps of the sweep of random labels."""
IMAGES = {
    "quick": ((100, 1000), (0, 1, 2), 64),
    "full": ((50, 100, 200, 500, 1000), (0, 1, 2), 256),
}
"""Numbers of images to learn from, seeds and width of the ViT."""
TEXT = {"quick": (6_000, 600), "full": (18_000, 2_400)}
"""Characters of the text to be overfitted, and steps."""
