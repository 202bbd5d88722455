"""Weights in the memory order that a native kernel reads, cached with their layer."""

from collections.abc import Callable

from torch import Tensor, nn


def packed_weights(conv: nn.Conv2d, pack: Callable[[Tensor], Tensor]) -> Tensor:
    """`pack` of the layer's weights, computed again only after they changed.

    Weights made in inference mode have no version counter, so for them nothing is cached.
    """
    weight = conv.weight
    if weight.is_inference():
        return pack(weight)
    key = (weight.data_ptr(), weight._version, pack)
    entry: tuple[object, Tensor, Tensor] | None = conv.__dict__.get("_packed")
    if entry is None or entry[0] != key:
        # The entry holds the weights too, so that no other tensor can take their address while it exists
        entry = (key, pack(weight), weight.detach())
        conv.__dict__["_packed"] = entry
    return entry[1]
