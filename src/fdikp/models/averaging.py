"""The mean of several trained networks' weights, which is often better than each of them (Wortsman et al. 2022)."""

from collections.abc import Sequence

import torch

from fdikp.network import FDIKP


@torch.no_grad()
def average(networks: Sequence[FDIKP], shares: Sequence[float]) -> FDIKP:
    """A network whose weights, and BatchNorm statistics, are the weighted mean of those of others.

    Args:
        networks: at least one, all of one configuration.
        shares: one for each network, positive; only their ratios matter.

    Raises:
        ValueError: the arguments are not as above.
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
        else:  # BatchNorm's count of steps, and the encoded configuration, which all have in common
            value.copy_(torch.stack([state[name] for state in states]).amax(dim=0))
    return result.train(networks[0].training)


@torch.no_grad()
def weight_cancellation(networks: Sequence[FDIKP]) -> float:
    """The fraction of the weights' energy that their plain mean loses, 0..1, averaged over matrices and filters.

    Weights that were trained from one initialisation stay close to it, and lose a few hundredths. Channels that were
    initialised independently have nothing in common: of two such networks' weights half cancels, and the mean is weak.
    """
    fractions = []
    for parameters in zip(*(network.parameters() for network in networks), strict=True):
        stacked = torch.stack([parameter.double() for parameter in parameters])
        if parameters[0].dim() >= 2 and (energy := stacked.square().sum().item() / len(parameters)):
            fractions.append(1 - stacked.mean(dim=0).square().sum().item() / energy)
    return sum(fractions) / len(fractions)
