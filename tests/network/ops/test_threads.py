"""Work of native kernels on several threads."""

from collections.abc import Iterator

import pytest
import torch

from fdikp.network.ops.native import threads
from fdikp.network.ops.native.threads import MIN_PIXELS, run_in_threads


@pytest.fixture(params=["torch's OpenMP", "a pool"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that torch has, and those of a forked child or beside another OpenMP."""
    if request.param == "a pool":
        monkeypatch.setattr(threads, "_openmp_parallel", lambda: None)


@pytest.fixture
def keep_thread_count() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("kind", "keep_thread_count")
@pytest.mark.parametrize(("items", "count"), [(1, 4), (7, 2), (5, 8), (64, 3)])
def test_every_item_is_computed_once(items: int, count: int) -> None:
    torch.set_num_threads(count)
    ranges: list[tuple[int, int]] = []
    run_in_threads(lambda first, last: ranges.append((first, last)), items, MIN_PIXELS)
    assert sorted(i for first, last in ranges for i in range(first, last)) == list(range(items))


@pytest.mark.usefixtures("kind", "keep_thread_count")
def test_an_interrupt_in_a_thread_is_raised() -> None:
    torch.set_num_threads(2)

    def work(first: int, last: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_threads(work, 4, MIN_PIXELS)


@pytest.mark.usefixtures("keep_thread_count")
def test_little_work_stays_in_one_thread() -> None:
    torch.set_num_threads(4)
    ranges: list[tuple[int, int]] = []
    run_in_threads(lambda first, last: ranges.append((first, last)), 10, MIN_PIXELS // 10)
    assert ranges == [(0, 10)]
