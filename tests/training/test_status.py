"""`fdikp train status`."""

import json
import os
import subprocess
import sys

import pytest

from fdikp.errors import TrainingError
from fdikp.training.lock import RunLock, holder
from fdikp.training.loop import train
from fdikp.training.status import describe, read_status


@pytest.fixture
def run(recipe):
    """The folder of a run of many hours, of which only what a status reads is there."""
    recipe.runtime.output.mkdir(parents=True)
    (recipe.runtime.output / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    lines = []
    for n in range(1, 101):
        line = {"step": 20 * n, "seconds": 300.0 * n, "crops": 80 * n, "crops_128": 20.0 * n, "lr": 1e-3}
        lines.append(line | {"loss": 1.0 / n, "skipped": 0, "time": 1e9 + 300 * n})
        if n % 12 == 0 or n == 1:
            facts = {"psnr_after": 25.0 + n, "gain": n / 100, "loss": 0.5}
            lines.append({"step": 20 * n, "seconds": 300.0 * n, "validations": {"a": {"0.9": facts, "0.99": facts}}})
    (recipe.runtime.output / "log.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"step": 2020, "lo'
    )
    return recipe.runtime.output


def test_the_last_hours_of_work(run):
    status = read_status(run, hours=3)
    assert (status.step, status.crops, status.crops_128) == (2000, 8000, 2000.0)
    assert status.hours == pytest.approx(100 * 300 / 3600)
    assert [s.hour for s in status.recent] == [7, 8, 9]
    assert status.recent[1].steps == 240 and status.recent[1].crops == 960
    assert status.recent[1].crops_per_second == pytest.approx(80 / 300)
    assert status.recent[1].loss == pytest.approx(sum(1 / n for n in range(84, 96)) / 12)
    assert [v.step for v in status.validations] == [20, 20, 1440, 1440, 1680, 1680, 1920, 1920]
    assert status.process is None


def test_the_text_has_tables_and_no_cut_line(run):
    text = describe(read_status(run))
    first, second = text.splitlines()[0], text.splitlines()[2]
    assert first.startswith(f"{run}: not running, last log line") and first.endswith("d ago")
    assert "step 2000, 8000 crops (2000 of 128²), 8.33 hours of work" in second
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in tables if "crops/s" in line or line.count("|") == 8}) == 1
    assert "0.50000" in text and "0.99 |" in text


def test_identical_pairs_are_counted_and_missing_means_are_dashes(run):
    assert " identical |" not in describe(read_status(run))
    line = {"step": 2000, "seconds": 30000.0, "validations": {"a": {"0.9": {"images": 0, "identical": ["x", "y"]}}}}
    with (run / "log.jsonl").open("a") as file:
        file.write("\n" + json.dumps(line) + "\n")
    assert " identical |" in describe(read_status(run))
    last = describe(read_status(run)).splitlines()[-1]
    assert [cell.strip() for cell in last.split("|")[1:-1]] == ["8.3", "2000", "a", "0.9", *["–"] * 6, "2"]


def test_a_run_of_another_version(run):
    (run / "recipe.json").write_text('{"config": "fdikp-lite", "gone": 1}')
    assert "fdikp-lite, adam" in describe(read_status(run))


def test_a_log_of_an_older_version_does_not_count_crops(run):
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()[:-1]]
    new = {"crops", "crops_128", "time"}
    old = [{key: value for key, value in line.items() if key not in new} for line in lines]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    status = read_status(run)
    assert (status.step, status.crops) == (2000, 0)
    assert "step 2000" in describe(status)


def test_a_run_that_has_just_begun(recipe):
    recipe.runtime.output.mkdir(parents=True)
    (recipe.runtime.output / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    assert "no log line yet" in describe(read_status(recipe.runtime.output))


def test_of_a_real_run(recipe):
    train(recipe.override(steps=2, ema_decay=(0.5, 0.9)), printed=False)
    status = read_status(recipe.runtime.output)
    assert (status.step, status.crops, status.crops_128) == (2, 4, 1.0)
    assert [v.decay for v in status.validations] == ["0.5", "0.9"]
    assert 0 <= status.idle_seconds < 600
    assert "training" in describe(status)


def test_no_run(tmp_path):
    with pytest.raises(TrainingError, match=r"no recipe\.json; give the folder of a run"):
        read_status(tmp_path)


class TestLock:
    def test_a_second_process_is_refused_and_the_first_is_reported(self, recipe):
        recipe.runtime.output.mkdir(parents=True)
        code = "from fdikp.training.lock import RunLock; from pathlib import Path; "
        folder = str(recipe.runtime.output)
        code += f"lock = RunLock(Path({folder!r})); lock.__enter__(); print('held', flush=True); input()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "held\n"
            assert holder(recipe.runtime.output) == process.pid
            with pytest.raises(TrainingError, match=f"process {process.pid} is training here") as raised:
                train(recipe, printed=False)
            assert "\n" not in str(raised.value)
            process.kill()
            process.wait()
        assert holder(recipe.runtime.output) is None
        train(recipe.override(steps=1), printed=False)

    def test_it_is_released_at_the_end(self, tmp_path):
        with RunLock(tmp_path):
            pass
        assert holder(tmp_path) is None
        with RunLock(tmp_path):
            assert (tmp_path / "run.lock").read_text() == str(os.getpid())
