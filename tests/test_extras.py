"""What a message about missing packages tells somebody who installed from a clone, from a wheel, or not at all."""

from pathlib import Path

import pytest

from fdikp.extras import install_hint, packages_of

METADATA = """Metadata-Version: 2.4
Name: fdikp
Version: 9.9
Requires-Dist: numpy>=1.26
Requires-Dist: pyvips[binary]>=3.0
Provides-Extra: raw
Requires-Dist: rawpy>=0.21; extra == "raw"
Provides-Extra: train
Requires-Dist: lightning-fabric>=2.4; extra == "train"
Requires-Dist: tensorboard>=2.14; extra == 'train'
Provides-Extra: all
Requires-Dist: fdikp[raw,train]; extra == "all"
Requires-Dist: triton>=3.2; (sys_platform == "linux" and platform_machine == "x86_64") and extra == "all"
Provides-Extra: round
Requires-Dist: fdikp[round]; extra == "round"
"""

CLONE = '{"dir_info": {"editable": true}, "url": "file:///home/me/fdikp"}'
WHEEL = '{"archive_info": {}, "url": "file:///tmp/fdikp-9.9-py3-none-any.whl"}'


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make an installation of fdikp whose metadata comes before that of the real one."""

    def installed(metadata: str | None, origin: str | None = None) -> None:
        monkeypatch.setattr("sys.path", [str(tmp_path)])
        if metadata is None:
            return
        folder = tmp_path / "fdikp-9.9.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(metadata)
        if origin is not None:
            (folder / "direct_url.json").write_text(origin)

    return installed


@pytest.mark.parametrize("origin", [CLONE, WHEEL, None], ids=["clone", "wheel", "index"])
@pytest.mark.parametrize(
    ("extra", "packages"),
    [
        ("raw", '"rawpy>=0.21"'),
        ("train", '"lightning-fabric>=2.4" "tensorboard>=2.14"'),
        ("all", '"triton>=3.2" "rawpy>=0.21" "lightning-fabric>=2.4" "tensorboard>=2.14"'),
    ],
)
def test_the_packages_are_named_however_it_was_installed(installed, origin, extra, packages):
    installed(METADATA, origin)
    assert install_hint(extra) == f"install the {extra} extra: pip install {packages}"


@pytest.mark.parametrize(
    ("metadata", "extra"),
    [
        (None, "raw"),
        ("Metadata-Version: 2.4\nName: fdikp\nVersion: 9.9\n", "raw"),
        (METADATA, "x"),
        (METADATA, "round"),
    ],
    ids=["not installed", "no requirements", "an older installation", "an extra of itself"],
)
def test_without_metadata_the_extra_is_named(installed, metadata, extra):
    installed(metadata)
    assert install_hint(extra) == f"install the {extra} extra of fdikp"


@pytest.mark.parametrize("requirements", [None, [], ['a; extra == "rawer"'], ['a; python_version > "3"']])
def test_packages_of_other_extras_are_not_taken(requirements):
    assert packages_of("raw", requirements) == []
