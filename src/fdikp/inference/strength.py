"""The check of the argument `strength`, which several entrances share. Imports nothing heavy."""

from numbers import Real

from fdikp.errors import ArgumentError

MAX_STRENGTH = 2.0
"""Twice the change that the network predicts."""


def check_strength(strength: object) -> None:
    """Raise ArgumentError unless `strength` is a number in 0..`MAX_STRENGTH`."""
    number = float("nan") if isinstance(strength, bool) or not isinstance(strength, Real) else float(strength)
    if not 0 <= number <= MAX_STRENGTH:  # NaN included
        raise ArgumentError(f"must be between 0 and {MAX_STRENGTH:g}", argument="strength", value=strength)
