"""The paper's ablations as data, and what is said of their order."""

from pathlib import Path

import pytest

from fdikp.paper.ablations import ABLATIONS, Budget, Variant, budget_of, orderings, proxy_run, real_run
from fdikp.training.recipes import named

SAME = (
    "steps", "crop", "batch", "lr", "schedule", "warmup", "averaging", "phase_lengths", "paths", "seed",
    "width_divisor", "pairs",
)  # fmt: skip


@pytest.mark.parametrize("table", list(ABLATIONS))
def test_variants_of_a_proxy_differ_in_what_the_table_compares_and_nothing_else(table: str) -> None:
    runs = [
        proxy_run(variant, (Path("sharp"),), Path("out"), 3, budget_of(table, Budget())) for variant in ABLATIONS[table]
    ]
    for run in runs:
        run.check()
        assert [run.options()[name] for name in SAME] == [runs[0].options()[name] for name in SAME]
    losses = [(r.loss.scales, r.loss.beta, r.loss.gamma) for r in runs]
    networks = [run.network.architecture for run in runs]
    distinct = losses if table == "table6" else networks
    assert len(set(distinct)) == len(runs)
    assert len(set(networks if table == "table6" else losses)) == 1
    assert any(run.loss.beta for run in runs) == (table == "table6")


@pytest.mark.parametrize("table", list(ABLATIONS))
def test_the_real_thing_is_the_papers_training(table: str) -> None:
    for variant in ABLATIONS[table]:
        run = real_run(variant, Path("DPDD"), Path("out"), 0)
        before = named(variant.recipe).options()
        changed = {name for name, value in run.options().items() if value != before[name]}
        assert changed <= {"paths", "output", "seed", "resume"}
        assert run.budget.epochs == 1500 and run.network.width_divisor == 1


def test_an_order_within_the_spread_of_seeds_is_not_decided() -> None:
    variants = (Variant("a", "", 25.0), Variant("b", "", 26.0), Variant("c", "", 27.0), Variant("d", "", None))
    found = orderings(variants, {"a": [20.0, 20.3], "b": [20.2, 20.4], "c": [19.0, 19.1], "d": [9.0, 9.0]})
    assert {(o.first, o.second): o.verdict for o in found} == {
        ("a", "b"): "undecided", ("a", "c"): "no", ("b", "c"): "no"
    }  # fmt: skip
    assert orderings(variants, {"a": [1.0], "b": [2.0]})[0].verdict == "yes"
