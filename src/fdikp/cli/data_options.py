"""The options that every verb shares that measures on data sets."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.errors import DataError

if TYPE_CHECKING:
    from fdikp.data import EvaluationSet
    from fdikp.metrics.lpips import LPIPS


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What to measure on."""

    # Data sets to measure on.
    data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=PATH ...", help_behavior_hint="")] = ()

    # Which part of the sets.
    split: Literal["train", "val", "test"] = "test"

    # Only so many pictures of each set, its first.
    limit: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None

    # LPIPS weights: a safetensors file, or "download"; else the file that FDIKP_LPIPS names.
    lpips: Annotated[str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None

    def check(self) -> None:
        """Refuse what cannot be meant."""
        if not self.data:
            raise UsageError("give data sets to measure on: --data NAME=PATH ...")
        for given in self.data:
            name, equals, path = given.partition("=")
            if not (name and equals and path):
                raise UsageError(f"--data {given}: must be NAME=PATH, such as dpdd=DPDD/")
        names = [given.partition("=")[0] for given in self.data]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"--data: {', '.join(sorted(doubled))} is named more than once; choose another name")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit {self.limit}: must be at least 1")

    def open(self) -> "list[EvaluationSet]":
        """Every set opened and checked; what is wrong with all of them is said, a line each."""
        from fdikp.data import open_set

        opened: list[EvaluationSet] = []
        faults: list[str] = []
        for given in self.data:
            name, _, path = given.partition("=")
            try:
                opened.append(open_set(name, Path(path), self.split))
            except DataError as error:
                faults += error.faults
        for fault in faults[:-1]:
            console.problem(fault)
        if faults:
            raise DataError(faults[-1])
        for data in opened:
            for note in data.notes:
                console.problem(f"{data.name}: {note}")
            if find_spec("skimage") is None and not all(sample.has_target for sample in data.samples):
                raise DataError(
                    f'{data.name}: has no ground truth; that needs scikit-image: pip install "fdikp[evaluate]"'
                )
        return opened

    def perceptual(self) -> "LPIPS | None":
        """LPIPS, or None where there are no weights, which is said."""
        from fdikp.metrics.lpips import LPIPS
        from fdikp.metrics.lpips_weights import VARIABLE, find_lpips

        file = find_lpips(self.lpips)
        if file is None:
            console.problem(f"LPIPS is left out: no weights; give --lpips FILE, --lpips download, or set {VARIABLE}")
            return None
        return LPIPS(file)
