"""The exponent of N against D: what the paper says, and what a sweep gives."""

from dataclasses import dataclass

PAPER, LINEAR = 2.0, 1.0
"""Exponents: the paper's, and that of a capacity linear in the parameters."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """``N = a D^b``, by least squares of log D against log N."""

    exponent: float
    low: float
    high: float
    """95% interval of the exponent, from a bootstrap of seeds, each D anywhere up to the next size tried."""
    factor: float
    bits: float
    """Labels learned, in bits, per parameter: median over cells."""

    @property
    def verdict(self) -> str:
        """One sentence."""
        inside = [
            name
            for name, b in (
                (f"the paper's {PAPER:g}", PAPER),
                (f"linear capacity's {LINEAR:g}", LINEAR),
            )
            if self.low <= b <= self.high
        ]
        where = f"; the interval holds {' and '.join(inside)}" if inside else "; it holds neither"
        return (
            f"N ~ D^{self.exponent:.2f} [{self.low:.2f}, {self.high:.2f}] (the paper: {PAPER:g}, linear "
            f"capacity: {LINEAR:g}){where}. {self.bits:.2f} bits a parameter were learned."
        )
