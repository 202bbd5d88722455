"""Optimisers: Adam, or one for matrices (Muon, SOAP) beside Adam for everything that is no matrix.

A convolution's weights are taken as the matrix [out, in · kh · kw], a transposed convolution's likewise. Both
optimisers for matrices work on gradients as a linear map rather than number by number, and reach a loss in fewer
steps. They are written here because `torch.optim.Muon` takes two-dimensional parameters only and always computes in
bfloat16, which processors without such instructions emulate; no library in use here has SOAP.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fdikp.network import FDIKP
from fdikp.training.recipe import Recipe

BETAS = (0.9, 0.999)
"""Of Adam."""

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration (Jordan 2024, kellerjordan.github.io/posts/muon)."""

ITERATIONS = 5
"""Of that iteration; singular values then lie in about 0.7 to 1.2."""

RMS = 0.2
"""Root mean square of Muon's update before the learning rate. It is that of Adam's updates in practice, so that rates
are comparable (Liu et al. 2025, arXiv 2502.16982)."""

LONGEST_SIDE = 1024
"""Longest side of a matrix that SOAP rotates; eigenvectors of larger ones cost more than they gain."""

EVERY = 10
"""Steps between refreshes of SOAP's eigenvectors."""

PIXEL_LAYERS = ("output.", "fikp.refine.")
"""Layers whose inputs and outputs are images: the last convolution, and that of the base image."""

IMAGE_CHANNELS = 3
"""Layers that read so many channels read an image, and are the network's first."""


class Muon(torch.optim.Optimizer):
    """Momentum whose update is replaced by the nearest orthogonal matrix (Jordan 2024), without weight decay.

    Matrices of one shape are orthogonalised together, in float32.

    Args:
        params: weights of linear layers and convolutions, or groups of them; a group may have `transposed`, True for
            weights [in, out, …].
        lr: learning rate; the update's root mean square is `RMS` times that.
        momentum: Nesterov's.
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
    """Each of [B, m, n] with its singular values brought to about 1, by Newton-Schulz iteration in float32."""
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

    Eigenvectors are refreshed every `EVERY` steps by one power iteration. A side longer than `LONGEST_SIDE` is left as
    it is. The first step only sets the eigenvectors.

    Args:
        params: as of `Muon`.
        lr: learning rate, as Adam's.
        betas: of both moments; the preconditioner's running means take the second.
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
            if count % EVERY == 0:
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
    """Optimisers of different parameters, used as one."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self) -> None:
        """Drop every gradient."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self, lr: float) -> None:
        """Update every parameter; each group's rate is `lr` times its `scale`."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr * group["scale"]
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of each, by the name of its class."""
        return {type(part).__name__: part.state_dict() for part in self.parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            KeyError: it is of other optimisers.
        """
        if set(state) != {type(part).__name__ for part in self.parts}:
            raise KeyError(", ".join(state))
        for part in self.parts:
            part.load_state_dict(state[type(part).__name__])


def build_optimizer(network: FDIKP, others: nn.Module | None, recipe: Recipe) -> Optimizers:
    """The optimiser of a recipe, over the network's parameters and those of `others`.

    Layers that work on pixels start where they are nearly right, and Adam moves every number by the rate itself: what
    is nothing to a feature is a visible shift to a picture. Below a `pixel_rate` of 1 their rate is scaled by it, and
    their biases, which could do nothing else, stay at zero. A recipe with one rate for all, such as the paper's,
    trains them too.

    With Muon or SOAP, Adam trains what is no matrix (biases, norms, banks, depthwise convolutions) and the first and
    last layers, at `adam_lr_scale` times the rate.
    """
    matrices = matrix_parameters(network) if recipe.optimizer != "adam" else {}
    pixels = PIXEL_LAYERS if recipe.pixel_rate < 1 else ()
    named = dict(network.named_parameters())
    slow = [p for name, p in named.items() if name.startswith(pixels) and name.endswith("weight")] if pixels else []
    rest = [p for name, p in named.items() if name not in matrices and not (pixels and name.startswith(pixels))]
    rest += others.parameters() if others else []
    scale = 1.0 if recipe.optimizer == "adam" else recipe.adam_lr_scale
    groups = [{"params": rest, "scale": scale}, {"params": slow, "scale": scale * recipe.pixel_rate}]
    adam = torch.optim.Adam([group for group in groups if group["params"]], lr=recipe.lr, betas=BETAS)
    if not matrices:
        return Optimizers(adam)
    of_matrices = {
        transposed: [named[name] for name, is_transposed in matrices.items() if is_transposed == transposed]
        for transposed in (False, True)
    }
    build = Muon if recipe.optimizer == "muon" else SOAP
    return Optimizers(
        build([{"params": p, "scale": 1.0, "transposed": t} for t, p in of_matrices.items() if p], lr=recipe.lr), adam
    )


def matrix_parameters(network: nn.Module) -> dict[str, bool]:
    """Names of the weights that are trained as matrices, and whether they are [in, out, …].

    Not among them are depthwise convolutions, whose rows share no input, and the first and last layers.
    """
    found = {}
    for name, module in network.named_modules():
        if f"{name}.".startswith(PIXEL_LAYERS):
            continue
        if isinstance(module, nn.Linear):
            found[f"{name}.weight"] = False
        elif (
            isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
            and module.groups == 1
            and module.in_channels != IMAGE_CHANNELS
        ):
            found[f"{name}.weight"] = isinstance(module, nn.ConvTranspose2d)
    return found


def as_matrix(weight: Tensor, transposed: bool) -> Tensor:
    """[out, in, …], or transposed [in, out, …], as [out, in · …]."""
    return (weight.transpose(0, 1) if transposed else weight).flatten(1)


def from_matrix(matrix: Tensor, like: Tensor, transposed: bool) -> Tensor:
    """What `as_matrix` made of a weight of this shape, as it was."""
    if transposed:
        return matrix.unflatten(1, (like.shape[0], *like.shape[2:])).transpose(0, 1)
    return matrix.view(like.shape)
