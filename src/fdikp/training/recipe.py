"""A training run as data: `Recipe`, whose options lie in groups."""

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fdikp.errors import TrainingError
from fdikp.training.option_groups import BudgetGroup, DataGroup, LossGroup, NetworkGroup, OptimGroup, RuntimeGroup

HINT_FRACTION = 0.1
"""Fraction of the budget during which features learn the blur radius (`radius_hint`)."""


@dataclass(frozen=True)
class Recipe:
    """A run. Two runs on CPU with equal recipes and a budget in steps end in the same weights, bit for bit."""

    network: NetworkGroup = field(default_factory=NetworkGroup)
    data: DataGroup = field(default_factory=DataGroup)
    budget: BudgetGroup = field(default_factory=BudgetGroup)
    optim: OptimGroup = field(default_factory=OptimGroup)
    loss: LossGroup = field(default_factory=LossGroup)
    runtime: RuntimeGroup = field(default_factory=RuntimeGroup)

    def options(self) -> dict[str, Any]:
        """Every option by name, without the groups."""
        return {name: getattr(getattr(self, group), name) for name, group in GROUP_OF.items()}

    def override(self, **options: Any) -> "Recipe":
        """A copy with some options changed, each found in its group by its name.

        >>> Recipe().override(lr=1e-4, crop=(256,)).optim.lr
        0.0001

        Raises:
            TypeError: there is no option of that name.
        """
        changes: dict[str, dict[str, Any]] = {}
        for name, value in options.items():
            if name not in GROUP_OF:
                raise TypeError(f"a recipe has no option {name!r}")
            changes.setdefault(GROUP_OF[name], {})[name] = value
        groups = {group: replace(getattr(self, group), **values) for group, values in changes.items()}
        return replace(self, **groups)

    def check(self) -> None:
        """Validate the options.

        Raises:
            TrainingError: an option is invalid or options conflict; the message is one line.
        """
        for problem in self._problems():
            raise TrainingError(problem)

    def _problems(self) -> Iterator[str]:
        """What is wrong in a group, then between groups, a line each."""
        budget, optim, runtime = self.budget, self.optim, self.runtime
        if not budget.is_limited and optim.schedule != "constant":
            yield "the run has no end; give steps=, minutes= or epochs=, or schedule=constant"
        for group in GROUPS:
            yield from getattr(self, group).problems()
        if optim.decay_start and (optim.decay_start < 0 or optim.schedule != "linear" or budget.steps <= 0):
            yield f"decay_start={optim.decay_start}: needs schedule=linear and a budget in steps="
        if 0 < budget.steps <= optim.decay_start:
            yield f"decay_start={optim.decay_start}: must be below steps={budget.steps}"
        processes = runtime.devices * runtime.nodes
        if any(batch % processes for batch in budget.batch):
            batches = " ".join(map(str, budget.batch))
            yield f"batch={batches}: cannot be split over {processes} devices; give a multiple of {processes}"

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The groups, with values that JSON can hold."""

        def plain(value: Any) -> Any:
            if isinstance(value, tuple):
                return [plain(v) for v in value]
            return str(value) if isinstance(value, Path) else value

        return {group: {name: plain(value) for name, value in vars(getattr(self, group)).items()} for group in GROUPS}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """The recipe that `to_dict` made these values of.

        Raises:
            ValueError: groups or options differ from those of a recipe: it was written by another version.
        """
        names = {f"{group}.{name}" for name, group in GROUP_OF.items()}
        given = {
            f"{group}.{name}" if isinstance(options, dict) else group
            for group, options in values.items()
            for name in (options if isinstance(options, dict) else [group])
        }
        if given != names:
            others = sorted(given ^ names)
            raise ValueError(", ".join(others[:3]) + (", ..." if len(others) > 3 else ""))
        options = {name: value for group in values.values() for name, value in group.items()}
        options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        options["paths"] = tuple(map(Path, options["paths"]))
        options["output"] = Path(options["output"])
        options["held_out"] = options["held_out"] and Path(options["held_out"])
        return cls().override(**options)


GROUPS: dict[str, type] = typing.get_type_hints(Recipe)
"""The groups of a recipe by name, in their order."""

GROUP_OF = {option.name: name for name, group in GROUPS.items() for option in dataclasses.fields(group)}
"""The group of each option."""
