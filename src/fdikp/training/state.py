"""The parts of a run that change from step to step, and what a checkpoint holds of them."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from fdikp.errors import TrainingError
from fdikp.network import FDIKP
from fdikp.training.average import Averages
from fdikp.training.losses import BlurSupervision
from fdikp.training.optimizers import Optimizers
from fdikp.training.schedule import WorkClock

COUNTERS = ("step", "seen", "phase", "skipped", "bad", "pixels")
"""Fields of the state that a checkpoint holds as they are."""


@dataclass
class TrainingState:
    """A run between two steps."""

    name: str
    """Of the model."""
    network: FDIKP
    supervision: BlurSupervision | None
    averages: Averages
    optimizer: Optimizers
    clock: WorkClock
    step: int = 0
    seen: int = 0
    """Pairs trained on."""
    phase: int = -1
    """Index of the recipe's phase; -1 before the first."""
    skipped: int = 0
    """Steps that changed nothing because loss or gradient was not finite."""
    bad: int = 0
    """Number of those since the last step that was finite."""
    pixels: int = 0
    """Pixels of the pairs trained on."""

    def to_checkpoint(self) -> dict[str, Any]:
        """Everything that `restore` needs to continue exactly. The data stream needs only `seen`."""
        return {
            "config": self.network.config.to_dict(),
            "network": self.network.state_dict(),
            "supervision": self.supervision.state_dict() if self.supervision else {},
            "averages": self.averages.state_dict(),
            "averaging": self.averages.kind,
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.clock.seconds,
            "recent": list(self.clock.recent),
            **{name: getattr(self, name) for name in COUNTERS},
        }

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Continue from what `to_checkpoint` returned.

        Raises:
            TrainingError: it belongs to another network, loss, optimiser or set of averages.
        """
        same_network = self.network.config.to_dict() == checkpoint["config"]
        if not same_network or bool(self.supervision) != bool(checkpoint["supervision"]):
            raise TrainingError("the checkpoint has another network or loss; give the options that the run began with")
        if set(COUNTERS) - set(checkpoint) or "averages" not in checkpoint:
            raise TrainingError(
                "the checkpoint was written by another version of fdikp; start again with another output="
            )
        self.network.load_state_dict(checkpoint["network"])
        if self.supervision:
            self.supervision.load_state_dict(checkpoint["supervision"])
        try:
            self.averages.load_state_dict(checkpoint["averages"], checkpoint["averaging"])
        except KeyError as error:
            raise TrainingError(f"the checkpoint has other averages; give ema_decay={error.args[0]}") from None
        try:
            self.optimizer.load_state_dict(checkpoint["optimizer"])
        except KeyError as error:
            raise TrainingError(
                f"the checkpoint has another optimizer ({error.args[0]}); give the optimizer= that the run began with"
            ) from None
        self.clock = WorkClock(checkpoint["seconds"], deque(checkpoint["recent"]))
        for name in COUNTERS:
            setattr(self, name, checkpoint[name])
