import io
import urllib.error
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fdikp.errors import WeightsError
from fdikp.metrics import lpips_weights
from fdikp.metrics.lpips_weights import DOWNLOAD, cached, content, find_lpips

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "lpips"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("FDIKP_LPIPS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def published(monkeypatch):
    """A stand-in for the two published files: small, pickled as torch does, at the addresses of the real ones."""
    torch.manual_seed(0)
    backbone = {"features.0.weight": torch.rand(4, 3, 11, 11), "classifier.1.weight": torch.rand(5, 5)}
    heads = {"lin0.model.1.weight": torch.rand(1, 4, 1, 1)}
    files = {lpips_weights.HEADS: heads, "https://x/alex.pth": backbone}
    data = {}
    for url, tensors in files.items():
        memory = io.BytesIO()
        torch.save(tensors, memory)
        data[url] = memory.getvalue()
    address = f"https://x/alex-{lpips_weights.hashlib.sha256(data['https://x/alex.pth']).hexdigest()[:8]}.pth"
    data[address] = data.pop("https://x/alex.pth")
    monkeypatch.setattr(lpips_weights, "BACKBONE", address)
    kept = {"features.0.weight": backbone["features.0.weight"], **heads}
    monkeypatch.setattr(lpips_weights, "CONTENT", content(kept))
    monkeypatch.setattr(lpips_weights.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(data[url]))
    return data, kept


def test_a_path_or_the_environment_or_nothing(tmp_path, monkeypatch):
    assert find_lpips() is None
    file = tmp_path / "lpips.safetensors"
    with pytest.raises(WeightsError, match=r"lpips\.safetensors: no such file of LPIPS weights.*'download'"):
        find_lpips(file)
    monkeypatch.setenv("FDIKP_LPIPS", str(file))
    with pytest.raises(WeightsError, match=r"from FDIKP_LPIPS"):
        find_lpips()
    file.touch()
    assert find_lpips() == find_lpips(file) == file


def test_what_is_published_is_fetched_verified_and_kept(published):
    _, kept = published
    file = find_lpips(DOWNLOAD)
    assert file == cached()
    assert {name: t.shape for name, t in load_file(file).items()} == {name: t.shape for name, t in kept.items()}
    assert content(load_file(file)) == content(kept)
    published[0].clear()  # nothing can be fetched now
    assert find_lpips(DOWNLOAD) == find_lpips() == file


def test_another_file_than_the_published_one_is_refused(published):
    data, _ = published
    (address,) = (url for url in data if url != lpips_weights.HEADS)
    whole = data[address]
    data[address] = whole[:-1] + bytes([whole[-1] ^ 1])
    with pytest.raises(WeightsError, match="not the published file"):
        find_lpips(DOWNLOAD)
    data[address] = whole
    memory = io.BytesIO()
    torch.save({"lin0.model.1.weight": torch.zeros(1, 4, 1, 1)}, memory)
    data[lpips_weights.HEADS] = memory.getvalue()
    with pytest.raises(WeightsError, match="not the LPIPS weights"):
        find_lpips(DOWNLOAD)
    data[lpips_weights.HEADS] = b"<html>no such page</html>"
    with pytest.raises(WeightsError, match="not the published file") as error:
        find_lpips(DOWNLOAD)
    assert "\n" not in str(error.value)
    assert not cached().exists()


def test_without_a_network_one_line_says_so(monkeypatch):
    def offline(url, timeout):
        raise urllib.error.URLError(OSError("Network is unreachable"))

    monkeypatch.setattr(lpips_weights.urllib.request, "urlopen", offline)
    with pytest.raises(WeightsError, match=r"cannot be downloaded \(Network is unreachable\).*weights file") as error:
        find_lpips(DOWNLOAD)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="LPIPS weights are not beside the repository (../shared/data)")
def test_the_known_content_is_that_of_the_weights_whose_values_are_checked():
    assert content(load_file(FOLDER / "lpips-v0.1-alex.safetensors")) == lpips_weights.CONTENT
