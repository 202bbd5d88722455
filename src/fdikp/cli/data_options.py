"""Options shared by the subcommands that measure on data sets."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.errors import DataError
from fdikp.extras import install_hint

if TYPE_CHECKING:
    from fdikp.data import EvaluationSet
    from fdikp.metrics.lpips import LPIPS


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The data sets to measure on."""

    # Data sets to measure on, each with a name: dpdd=DPDD/, or mine=my-pairs/ for your own.
    data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=PATH ...", help_behavior_hint="")] = ()

    # Split of the data sets: train, val or test.
    split: Literal["train", "val", "test"] = "test"

    # Use only the first N images of each set.
    limit: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None

    # LPIPS weights: a safetensors file, or "download". The default is the file named by FDIKP_LPIPS.
    lpips: Annotated[str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None

    def check(self) -> None:
        """Validate the options; raise UsageError if they conflict."""
        if not self.data:
            raise UsageError("no data set; give --data NAME=PATH ...")
        for argument in self.data:
            name, equals, path = argument.partition("=")
            if not (name and equals and path):
                raise UsageError(f"--data {argument}: must be NAME=PATH, such as dpdd=DPDD/")
        names = [argument.partition("=")[0] for argument in self.data]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"--data: the name {', '.join(sorted(repeated))} is used more than once; choose another")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit {self.limit}: must be at least 1")

    def open(self) -> "list[EvaluationSet]":
        """Open and validate every set. The faults of all sets are printed, one line each."""
        from fdikp.data import open_set

        opened: list[EvaluationSet] = []
        faults: list[str] = []
        for argument in self.data:
            name, _, path = argument.partition("=")
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
                hint = install_hint("evaluate")
                raise DataError(f"{data.name}: has no ground truth, so it needs scikit-image; {hint}")
        return opened

    def perceptual(self) -> "LPIPS | None":
        """LPIPS, or None with a printed line if there are no weights."""
        from fdikp.metrics.lpips import LPIPS
        from fdikp.metrics.lpips_weights import VARIABLE, find_lpips

        file = find_lpips(self.lpips)
        if file is None:
            console.problem(f"LPIPS is left out: no weights; give --lpips FILE or --lpips download, or set {VARIABLE}")
            return None
        return LPIPS(file)
