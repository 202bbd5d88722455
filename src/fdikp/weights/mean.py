"""The mean of several trained networks' weights, which often does better than any of them (Wortsman et al. 2022)."""

from collections.abc import Sequence

import torch

from fdikp.network import FDIKP


@torch.no_grad()
def mean(networks: Sequence[FDIKP], shares: Sequence[float]) -> FDIKP:
    """A network whose weights are the weighted mean of those of others, BatchNorm's statistics too.

    Args:
        networks: at least one, all of one configuration.
        shares: positive, as many; what counts is their ratio.

    Raises:
        ValueError: one of these is not so.
    """
    if not networks or len(shares) != len(networks) or min(shares) <= 0:
        raise ValueError(f"{len(networks)} networks and shares {tuple(shares)}: give a positive share for each")
    if any(network.config != networks[0].config for network in networks):
        raise ValueError("networks of different configurations have no mean")
    states = [network.state_dict() for network in networks]
    result = FDIKP(networks[0].config)
    for name, value in result.state_dict().items():
        if value.is_floating_point():
            total = sum(share * state[name].double() for share, state in zip(shares, states, strict=True))
            value.copy_(total / sum(shares))
        else:  # BatchNorm's count of steps
            value.copy_(max(state[name] for state in states))
    return result.train(networks[0].training)


@torch.no_grad()
def cancelled(networks: Sequence[FDIKP]) -> float:
    """The share of weights that cancels in their plain mean, 0..1: of squares, mean over matrices and filters.

    What began in one place stays there nearly, whoever trains it: a few hundredths cancel. Channels that were drawn
    apart, or grown apart, have nothing in common, and of each two such half cancels: the mean is weak there.
    """
    shares = []
    for parameters in zip(*(network.parameters() for network in networks), strict=True):
        all_of_them = torch.stack([parameter.double() for parameter in parameters])
        if parameters[0].dim() >= 2 and (energy := all_of_them.square().sum().item() / len(parameters)):
            shares.append(1 - all_of_them.mean(dim=0).square().sum().item() / energy)
    return sum(shares) / len(shares)
