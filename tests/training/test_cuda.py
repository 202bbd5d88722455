"""What only a GPU can show; everything else is tested on the CPU."""

import pytest
import torch

from fdikp import models
from fdikp.training.checkpoint import load_checkpoint
from fdikp.training.loop import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_a_run_on_a_gpu_goes_on_and_its_weights_load_anywhere(recipe, precision, log_of):
    recipe = recipe.override(device="cuda", precision=precision, blur=0.1)
    train(recipe.override(steps=3))
    outcome = train(recipe.override(resume=True))
    assert outcome.step == 6
    assert [line["skipped"] for line in log_of(recipe)] == [0] * 6
    assert all(value.isfinite().all() for value in load_checkpoint(recipe.runtime.output)["network"].values())
    assert models.load(outcome.weights)[0].output.weight.device.type == "cpu"


def test_the_first_step_is_that_of_the_cpu(recipe, log_of):
    """The same pairs, the same network, the same loss: a seed means one run on every machine."""
    lines = []
    for device in ("cpu", "cuda"):
        run = recipe.override(device=device, precision="float32", steps=1, output=recipe.runtime.output / device)
        train(run)
        lines.append(log_of(run)[0])
    assert lines[1]["psnr_in"] == pytest.approx(lines[0]["psnr_in"], abs=0.05)
    assert lines[1]["loss"] == pytest.approx(lines[0]["loss"], rel=0.01)
