"""Which of this processor's instructions compiled passes use."""

from collections.abc import Iterator

import pytest

from fdikp.network.ops import native


@pytest.fixture(scope="module")
def no_tiles() -> Iterator[None]:
    """Without AMX: what torch is faster at there is tested wherever it can run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "tiles", lambda: False)
        yield


@pytest.fixture(scope="module", params=[True, False], ids=["wide", "narrow"])
def vectors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Code for AVX-512, where there is, and for others."""
    if request.param and not native.wide():
        pytest.skip("this processor has no AVX-512")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "wide", lambda: request.param)
        yield
