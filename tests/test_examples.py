import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    ("script", "picture"),
    [("cat.py", "cat.png"), ("failures.py", "failures.png"), ("keep_bokeh.py", "keep_bokeh.jpg")],
)
def test_each_draws_its_picture(script: str, picture: str, tmp_path: Path) -> None:
    argument = str(tmp_path if script == "cat.py" else tmp_path / picture)
    done = subprocess.run([sys.executable, EXAMPLES / script, argument], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / picture) as image:
        assert min(image.size) > 200


def test_every_example_is_run() -> None:
    assert {file.name for file in EXAMPLES.glob("*.py")} == {"cat.py", "failures.py", "keep_bokeh.py"}
