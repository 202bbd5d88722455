"""Random numbers of one pair, all from one seed."""

import math
import zlib

import torch
from torch import Tensor


class RandomStream:
    """A stream of random numbers that depends on the seed alone.

    The generator lives on the CPU whatever device renders, so that a seed means the same pair on every machine.

    >>> RandomStream(3).uniform(0, 1) == RandomStream(3).uniform(0, 1)
    True
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generator = torch.Generator().manual_seed(seed)

    def fork(self, name: str) -> "RandomStream":
        """A second stream of the same seed, untouched by what this one has drawn and leaving it as it is.

        What is added to the renderer rng from its own: the pairs of old seeds stay what they were.

        >>> RandomStream(3).fork("lens").uniform(0, 1) == RandomStream(3).fork("mosaic").uniform(0, 1)
        False
        """
        return RandomStream((self.seed * 0x9E3779B97F4A7C15 + zlib.crc32(name.encode())) % 2**53)

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self._generator, dtype=torch.float64))

    def log_uniform(self, low: float, high: float) -> float:
        """A number in [low, high), each octave equally likely."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def chance(self, share: float) -> bool:
        """True with probability `share`."""
        return self.uniform(0.0, 1.0) < share

    def integer(self, low: int, high: int) -> int:
        """An integer in low..high, both included."""
        return min(low + int(self.uniform(0.0, 1.0) * (high - low + 1)), high)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32 on the CPU."""
        return torch.randn(shape, generator=self._generator)
