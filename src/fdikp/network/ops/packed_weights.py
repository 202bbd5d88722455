"""Weights in the order that a compiled convolution wants them, kept with their layer."""

from collections.abc import Callable

from torch import Tensor, nn


def kept(conv: nn.Conv2d | nn.ConvTranspose2d, pack: Callable[[Tensor], Tensor]) -> Tensor:
    """`pack` of the layer's weights, kept until they change. Of tensors of inference mode nobody knows when."""
    weight = conv.weight
    if weight.is_inference():
        return pack(weight)
    key = (weight.data_ptr(), weight._version, pack)
    found: tuple[object, Tensor, Tensor] | None = conv.__dict__.get("_packed")
    if found is None or found[0] != key:
        # With the weights themselves, so that no others can come to lie where they did
        found = (key, pack(weight), weight.detach())
        conv.__dict__["_packed"] = found
    return found[1]
