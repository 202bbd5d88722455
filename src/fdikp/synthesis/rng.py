"""Random number streams: everything random about a pair follows from one seed."""

import math
import zlib

import torch
from torch import Tensor


class RandomStream:
    """A stream of random numbers that depends on its seed alone.

    The generator runs on the CPU whichever device renders, so that a seed gives the same pair on every machine.

    >>> RandomStream(3).uniform(0, 1) == RandomStream(3).uniform(0, 1)
    True
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generator = torch.Generator().manual_seed(seed)

    def fork(self, name: str) -> "RandomStream":
        """A stream derived from the seed and a name. It neither depends on nor changes the state of this stream.

        Each effect that is added to the renderer draws from its own fork, so that the rest of a seed's pair stays the
        same. The names are therefore part of what a seed means, and never change.

        >>> RandomStream(3).fork("lens").uniform(0, 1) == RandomStream(3).fork("mosaic").uniform(0, 1)
        False
        """
        return RandomStream((self.seed * 0x9E3779B97F4A7C15 + zlib.crc32(name.encode())) % 2**53)

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self._generator, dtype=torch.float64))

    def log_uniform(self, low: float, high: float) -> float:
        """A number in [low, high), uniform in its logarithm."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform(0.0, 1.0) < probability

    def integer(self, low: int, high: int) -> int:
        """An integer in low..high, both inclusive."""
        return min(low + int(self.uniform(0.0, 1.0) * (high - low + 1)), high)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32 on the CPU."""
        return torch.randn(shape, generator=self._generator)
