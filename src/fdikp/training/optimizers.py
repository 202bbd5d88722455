"""Optimisers: Adam, or an optimiser for matrices (Muon, SOAP) with Adam for all other parameters.

The weights of a convolution, transposed or not, are the matrix [out, in · kh · kw]. Optimisers for matrices use the
gradient as a linear map, not number by number, and reach a given loss in fewer steps. They are implemented here because
`torch.optim.Muon` takes two-dimensional parameters only and always computes in bfloat16, which many processors emulate,
and because no dependency of fdikp has SOAP.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fdikp.network import FDIKP
from fdikp.training.option_groups import OptimGroup

BETAS = (0.9, 0.999)
"""Adam's decays of both moments."""

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic Newton-Schulz iteration (Jordan 2024, kellerjordan.github.io/posts/muon)."""

ITERATIONS = 5
"""Number of these iterations; singular values then lie in about 0.7 to 1.2."""

RMS = 0.2
"""Root mean square of Muon's update before the learning rate. Adam's updates have about the same in practice, so that
learning rates are comparable (Liu et al. 2025, arXiv 2502.16982)."""

LONGEST_SIDE = 1024
"""Longest side of a matrix that SOAP rotates; eigenvectors of longer sides cost more than they gain."""

REFRESH_INTERVAL = 10
"""Steps between updates of SOAP's eigenvectors."""

OUTPUT_LAYERS = ("output.", "fikp.refine.")
"""Prefixes of the layers that output an image: the last convolution, and the one that makes the base image."""

IMAGE_CHANNELS = 3
"""Layers with this many input channels read an image: they are the network's first."""


class Muon(torch.optim.Optimizer):
    """Momentum SGD with each update replaced by the nearest orthogonal matrix (Jordan 2024), without weight decay.

    Matrices of the same shape are orthogonalised together, in float32.

    Args:
        params: weights of linear layers and convolutions, or groups of them; a group may have `transposed`, True for
            weights [in, out, …].
        lr: learning rate; the update's root mean square is `RMS` times that.
        momentum: of Nesterov momentum.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "transposed": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            same_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                average = state["momentum_buffer"].lerp_(p.grad, 1 - group["momentum"])
                update = as_matrix(p.grad.lerp(average, group["momentum"]), group["transposed"])
                same_shape[tuple(update.shape)].append((p, update))
            for (rows, columns), pairs in same_shape.items():
                rate = group["lr"] * RMS * max(rows, columns) ** 0.5
                updates = orthogonalised(torch.stack([update for _, update in pairs]))
                for (p, _), update in zip(pairs, updates, strict=True):
                    p.add_(from_matrix(update, p, group["transposed"]), alpha=-rate)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Each matrix of [B, m, n] with its singular values changed to about 1, by Newton-Schulz iteration in float32."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.float().mT if tall else matrices.float()
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


class SOAP(torch.optim.Optimizer):
    """Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv 2409.11321), without weight decay.

    One power iteration updates the eigenvectors every `REFRESH_INTERVAL` steps. Sides longer than `LONGEST_SIDE` are
    not rotated. The first step only initialises the eigenvectors.

    Args:
        params: as for `Muon`.
        lr: learning rate, comparable to Adam's.
        betas: decays of both moments; the preconditioner's moving averages use the second.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.95, 0.95)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "transposed": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, group)

    def _update(self, p: Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2) = self.state[p], group["betas"]
        gradient = as_matrix(p.grad, group["transposed"]).float()  # type: ignore[arg-type]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            for side, product in _covariances(gradient):
                state[f"covariance_{side}"] = (1 - beta2) * product
                state[f"basis_{side}"] = torch.linalg.eigh(product).eigenvectors.flip(1).contiguous()
            return
        state["step"] += 1
        bases = [state.get(f"basis_{side}") for side in ("left", "right")]
        mean = state["exp_avg"].lerp_(gradient, 1 - beta1)
        rotated = _rotated(gradient, bases)
        square = state["exp_avg_sq"].lerp_(rotated.square(), 1 - beta2)
        count = float(state["step"])
        scale = (1 - beta2**count) ** 0.5 / (1 - beta1**count)
        direction = scale * _rotated(mean, bases) / (square.sqrt() + 1e-8)
        update = _rotated(direction, [None if basis is None else basis.mT for basis in bases])
        p.add_(from_matrix(update.to(p.dtype), p, group["transposed"]), alpha=-group["lr"])
        for side, product in _covariances(gradient):
            state[f"covariance_{side}"].lerp_(product, 1 - beta2)
            if count % REFRESH_INTERVAL == 0:
                basis = state[f"covariance_{side}"] @ state[f"basis_{side}"]
                state[f"basis_{side}"] = torch.linalg.qr(basis).Q.contiguous()


def _covariances(gradient: Tensor) -> list[tuple[str, Tensor]]:
    """G Gᵀ and Gᵀ G of [m, n], for the sides that are rotated."""
    sides = (("left", gradient), ("right", gradient.mT))
    return [(side, matrix @ matrix.mT) for side, matrix in sides if len(matrix) <= LONGEST_SIDE]


def _rotated(matrix: Tensor, bases: Sequence[Tensor | None]) -> Tensor:
    """Lᵀ M R; None: no rotation on that side."""
    left, right = bases
    matrix = matrix if left is None else left.mT @ matrix
    return matrix if right is None else matrix @ right


class Optimizers:
    """Several optimisers of different parameters, used as one."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all of them."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self) -> None:
        """Drop every gradient."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self, lr: float) -> None:
        """Update every parameter; each group's learning rate is `lr` times its `scale`."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr * group["scale"]
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of each optimiser, by the name of its class."""
        return {type(part).__name__: part.state_dict() for part in self.parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            KeyError: it belongs to other optimisers; the argument names them.
        """
        if set(state) != {type(part).__name__ for part in self.parts}:
            raise KeyError(", ".join(state))
        for part in self.parts:
            part.load_state_dict(state[type(part).__name__])


def build_optimizer(network: FDIKP, others: nn.Module | None, options: OptimGroup) -> Optimizers:
    """The optimiser of a recipe, for the parameters of the network and of `others`.

    Layers that output an image are nearly right at the start, and Adam moves every number by about the learning rate:
    too little to matter in a feature, but a visible shift in an image. With `output_lr_scale` below 1 their learning
    rate is scaled by it, and their biases, which could only shift the image, stay at zero. At 1, as in the paper's
    recipes, their biases are trained too.

    With Muon or SOAP, Adam trains everything that is not a matrix (biases, norms, kernel banks, depthwise convolutions)
    and the first and last layers, at `adam_lr_scale` times the learning rate.
    """
    matrices = matrix_parameters(network) if options.optimizer != "adam" else {}
    outputs = OUTPUT_LAYERS if options.output_lr_scale < 1 else ()
    named = dict(network.named_parameters())
    slow = [p for name, p in named.items() if name.startswith(outputs) and name.endswith("weight")] if outputs else []
    rest = [p for name, p in named.items() if name not in matrices and not (outputs and name.startswith(outputs))]
    rest += others.parameters() if others else []
    scale = 1.0 if options.optimizer == "adam" else options.adam_lr_scale
    groups = [{"params": rest, "scale": scale}, {"params": slow, "scale": scale * options.output_lr_scale}]
    adam = torch.optim.Adam([group for group in groups if group["params"]], lr=options.lr, betas=BETAS)
    if not matrices:
        return Optimizers(adam)
    of_matrices = {
        transposed: [named[name] for name, is_transposed in matrices.items() if is_transposed == transposed]
        for transposed in (False, True)
    }
    build = Muon if options.optimizer == "muon" else SOAP
    return Optimizers(
        build([{"params": p, "scale": 1.0, "transposed": t} for t, p in of_matrices.items() if p], lr=options.lr), adam
    )


def matrix_parameters(network: nn.Module) -> dict[str, bool]:
    """The names of the weights that are trained as matrices, and whether they are transposed, [in, out, …].

    Depthwise convolutions, whose rows share no input, and the first and last layers are not among them.
    """
    transposed = {}
    for name, module in network.named_modules():
        if f"{name}.".startswith(OUTPUT_LAYERS):
            continue
        if isinstance(module, nn.Linear):
            transposed[f"{name}.weight"] = False
        elif (
            isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
            and module.groups == 1
            and module.in_channels != IMAGE_CHANNELS
        ):
            transposed[f"{name}.weight"] = isinstance(module, nn.ConvTranspose2d)
    return transposed


def as_matrix(weight: Tensor, transposed: bool) -> Tensor:
    """[out, in, …], or transposed [in, out, …], as [out, in · …]."""
    return (weight.transpose(0, 1) if transposed else weight).flatten(1)


def from_matrix(matrix: Tensor, like: Tensor, transposed: bool) -> Tensor:
    """The inverse of `as_matrix`, for a weight of the shape of `like`."""
    if transposed:
        return matrix.unflatten(1, (like.shape[0], *like.shape[2:])).transpose(0, 1)
    return matrix.view(like.shape)
