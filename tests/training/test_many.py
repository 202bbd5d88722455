"""Two processes on one machine, each with half of each batch."""

import json
import os
import subprocess
import sys

import torch
from torch import nn

from fdikp import models
from fdikp.data import load_images
from fdikp.synthesis import RenderSettings
from fdikp.training.checkpoint import load_checkpoint
from fdikp.training.data import RenderedStream
from fdikp.training.losses import BlurSupervision
from fdikp.training.numerics import Numerics
from fdikp.training.objective import Objective
from fdikp.training.recipes import RECIPES

NUMERICS = Numerics(torch.device("cpu"), False, torch.contiguous_format)


def test_the_gradient_is_the_mean_of_both_processes(photos, tiny_weights, tmp_path):
    """One step of two processes, against both halves of its batch computed here in turn."""
    options = f"--from {tiny_weights} --data {photos} --output {tmp_path / 'run'} --steps 1 --batch 4 --crop 64"
    options += " --optimizer adam --blur 0.1 --radius-hint 0.1 --precision float32 --grad-clip 1e9"
    options += " --device cpu --devices 2 --threads 1"
    done = subprocess.run(
        [sys.executable, "-m", "fdikp.training", "lite", *options.split()],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["step"] for line in done.stdout.splitlines()[:-1]] == [1, 1]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["processes"], summary["pairs_seen"]) == (2, 4)

    recipe = RECIPES["lite"].override(paths=(photos,), crop=(64,), blur=0.1, radius_hint=0.1, precision="float32")
    stream = RenderedStream(load_images(recipe.data.paths), recipe.data.margin, recipe.runtime.seed, RenderSettings())
    torch.manual_seed(recipe.runtime.seed)
    network = models.load(tiny_weights)[0].requires_grad_(True).train()
    objective = Objective(network, recipe.override(beta=0.0).loss, NUMERICS, BlurSupervision(network))
    for rank in range(2):
        batch = stream.batch(2 * rank, 2, 64, torch.device("cpu"))
        (objective(batch.blurred, batch.target, batch.radius).loss / 2).backward()
    moments = load_checkpoint(tmp_path / "run")["optimizer"]["Adam"]["state"]
    names = [name for name, _ in network.named_parameters() if not name.startswith(("output.", "fikp.refine."))]
    parameters = dict(network.named_parameters())
    got = torch.cat([moments[n]["exp_avg"].flatten() / 0.1 for n in range(len(names))])
    expected = nn.utils.parameters_to_vector([parameters[name].grad for name in names])
    assert float((got - expected).norm() / expected.norm()) < 1e-3
    (alone,) = torch.autograd.grad(objective(batch.blurred, batch.target, batch.radius).loss, parameters[names[0]])
    assert float((alone - parameters[names[0]].grad).norm() / alone.norm()) > 0.1  # one half alone does not give it
