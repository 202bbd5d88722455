"""Results of the shipped weights do not depend on the instruction set."""

import numpy as np
import pytest
from skimage import data

from fdikp import load_model
from fdikp.network import ops


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("name", ["fdikp-lite", "fdikp-base"])
def test_shipped_weights_give_the_reference_to_90_db(name: str) -> None:
    model = load_model(name, device="cpu", precision="float32")
    image = data.astronaut()[100:228, 120:280].astype(np.float32) / 255
    with ops.reference():
        reference = model(image)
    assert -10 * np.log10(np.square(model(image) - reference).mean()) > 90
