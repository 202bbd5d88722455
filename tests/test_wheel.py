"""Wheels, with the kernels and without: built from the source distribution, installed, and used on a photo.

Each is installed in a virtual environment of its own, which also sees the packages of this one, after its own fdikp.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "src")

LIBRARY = "network/ops/native/_native.so"

needs_compiler = pytest.mark.skipif(
    os.name == "nt" or shutil.which("cc") is None, reason="there is no C compiler `cc` to build a wheel with kernels"
)


def build(kind: str, source: Path, folder: Path, **environment: str) -> Path:
    """What setuptools builds from a source tree: `sdist` or `wheel`."""
    code = f"import sys; from setuptools.build_meta import build_{kind}; build_{kind}(sys.argv[1])"
    folder.mkdir()
    call([sys.executable, "-c", code, str(folder)], source, **environment)
    (file,) = folder.iterdir()
    return file


def call(command: list[str | Path], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=clean | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked: what it leaves out cannot reach a wheel."""
    folder = tmp_path_factory.mktemp("source")
    checkout = folder / "checkout"
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, checkout / name, ignore=shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
            )
        else:
            checkout.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, checkout)
    with tarfile.open(build("sdist", checkout, folder / "dist")) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.glob("fdikp-*")
    return unpacked


@dataclass(frozen=True)
class Installation:
    wheel: Path
    bin: Path
    folder: Path
    """An empty working folder."""

    def run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return call([self.bin / program, *arguments], self.folder)

    def package(self) -> Path:
        """The folder of the package that it imports."""
        package = Path(self.run("python", "-c", "import fdikp; print(fdikp.__file__)").stdout.strip()).parent
        assert package.is_relative_to(self.bin.parent)
        return package


def install(wheel: Path, folder: Path) -> Installation:
    """The wheel in a new virtual environment, beside the packages of this one."""
    venv.create(folder / "venv", symlinks=os.name != "nt")
    paths = sysconfig.get_paths(vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")})
    (Path(paths["purelib"]) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    working = folder / "working"
    working.mkdir()
    Image.fromarray(data.coffee()[100:196, 200:312]).save(working / "photo.jpg")
    installation = Installation(wheel, Path(paths["scripts"]), working)
    pip = [sys.executable, "-m", "pip", "--python", installation.bin / "python", "--disable-pip-version-check"]
    call([*pip, "install", "--quiet", "--no-index", "--no-deps", "--no-compile", wheel], folder)
    return installation


@pytest.fixture(scope="module")
def with_kernels(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("kernels")
    compiler = folder / "cc"
    compiler.write_text('#!/bin/sh\nexec cc "$@" -O0\n')  # the kernels of a release take ten times as long to compile
    compiler.chmod(0o755)
    return install(build("wheel", source, folder / "dist", CC=str(compiler)), folder)


@pytest.fixture(scope="module")
def without_compiler(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("pure")
    shutil.copytree(source, folder / "source", ignore=shutil.ignore_patterns("build"))
    return install(build("wheel", folder / "source", folder / "dist", CC=shutil.which("false") or "false"), folder)


@needs_compiler
def test_a_wheel_with_kernels_is_for_this_platform_and_every_python(with_kernels: Installation) -> None:
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert with_kernels.wheel.name.endswith(f"-py3-none-{platform}.whl")


@needs_compiler
def test_a_wheel_holds_every_file_of_the_package(with_kernels: Installation) -> None:
    files = subprocess.run(
        ["git", "ls-files", "src/fdikp"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not files:
        pytest.skip("not a git checkout: nothing lists the files of the package")
    packed = set(zipfile.ZipFile(with_kernels.wheel).namelist())
    assert {file.removeprefix("src/") for file in files} - packed == set()


@needs_compiler
def test_a_photo_with_the_kernels_of_the_wheel(with_kernels: Installation) -> None:
    assert (with_kernels.package() / LIBRARY).is_file()
    done = with_kernels.run("fdikp", "deblur", "photo.jpg")
    assert done.stderr == ""  # not the note of the next test: the kernels are loaded
    assert Image.open(with_kernels.folder / "photo_deblurred.jpg").size == (112, 96)


def test_without_a_compiler_a_photo_and_one_note(without_compiler: Installation) -> None:
    assert without_compiler.wheel.name.endswith("-py3-none-any.whl")
    assert not (without_compiler.package() / LIBRARY).exists()
    done = without_compiler.run("fdikp", "deblur", "photo.jpg")
    (note,) = done.stderr.splitlines()
    assert note.startswith("fdikp: note: fdikp's native kernels were not compiled at installation: ")
    assert Image.open(without_compiler.folder / "photo_deblurred.jpg").size == (112, 96)
