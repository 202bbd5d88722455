import inspect
import os
import subprocess
import sys
from importlib import import_module

import pytest

import fdikp
from fdikp.cli import SUBCOMMANDS, console, main

HEAVY = ("torch", "numpy", "pyvips", "matplotlib", "PIL", "rawpy", "scipy", "skimage")


@pytest.mark.parametrize("args", [["--help"], ["--version"], *([name, "--help"] for name in SUBCOMMANDS)])
def test_help_is_instant(args):
    """Counted in modules, not seconds: a loaded machine must not fail it."""
    code = f"import sys; from fdikp.cli import main; main({args}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & set(HEAVY)
    assert len(loaded) < 500


def test_help_names_every_subcommand_and_an_example(run):
    done = run("--help", model=False)
    assert done.code == 0
    assert all(f"  {name} " in done.out for name in SUBCOMMANDS)
    assert "fdikp deblur holiday/ -o fixed/" in done.out


def test_the_help_of_each_subcommand_explains_every_option(run):
    for name in SUBCOMMANDS:
        done = run(name, "--help", model=False)
        assert (done.code, done.err) == (0, "")
    done = run("deblur", "--help", model=False)
    assert "fdikp deblur holiday/ -o fixed/" in done.out
    flags = "output suffix format quality strip strength overwrite skip-existing blur-map blur-map-figure"
    flags += " confidence-map compare mask region max-blur min-blur preview max-pixels memory"
    flags += " json quiet model device precision tile ensemble"
    assert all(f"--{flag}" in done.out for flag in flags.split())
    assert "None" not in done.out


@pytest.mark.parametrize("name", sorted({*SUBCOMMANDS} - {"train"}))
def test_the_layout_of_the_help_pages(run, name):
    page = run(name, "--help", model=False).out
    description = inspect.cleandoc(import_module(f"fdikp.cli.{name}").Options.__doc__)
    assert f"\n\n{description}\n\n" in page
    assert max(map(len, page.splitlines())) <= 100
    assert "\n\n\n" not in page
    options = page.partition(description)[2].strip()
    assert "\n\n " not in options  # a blank line only between groups of options


def test_help_is_the_same_after_other_arguments(run):
    assert run("deblur", "a.jpg", "--strip", "-h", model=False) == run("deblur", "--help", model=False)


def test_version(run):
    done = run("--version", model=False)
    assert (done.code, done.out) == (0, f"fdikp {fdikp.__version__}\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["deblurr", "a.jpg"], "did you mean 'fdikp deblur'"),
        (["analyze", "a.jpg"], "did you mean 'fdikp analyse'"),
        (["a.jpg"], "did you mean: fdikp deblur a.jpg\n"),
        (["a b.jpg", "--strip"], "did you mean: fdikp deblur 'a b.jpg' --strip\n"),
        (["sharpen", "a.jpg"], "choose one of deblur, analyse, serve, doctor, "),
    ],
)
def test_an_unknown_subcommand_is_answered_with_the_closest_one(run, args, message):
    done = run(*args, model=False)
    assert (done.code, done.out, len(done.errors)) == (2, "", 1)
    assert message in done.err


def test_no_subcommand_shows_help_on_stderr(capfd):
    assert main([]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "fdikp deblur" in captured.err


@pytest.mark.parametrize(
    "args",
    [
        ["--strength", "3"],
        ["--strength", "nan"],
        ["--strength", "-0.1"],
        ["--quality", "0"],
        ["--quality", "101"],
        ["--max-pixels", "0"],
        ["--memory", "lots"],
        ["--memory", "2"],
        ["--memory", "-1G"],
        ["--tile", "100"],
        ["--tile", "48"],
        ["--tile", "-64"],
        ["--suffix", "a/b"],
        ["--overwrite", "--skip-existing"],
        ["-o", "out.bmp"],
        ["-o", "out.png", "--format", "jpeg"],
        ["-o", "out.png", "--suffix", "_x"],
        ["-o", ""],
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(deblur, picture, tree, args):
    picture("a.png")
    done = deblur("a.png", *args)
    assert (done.code, done.out) == (2, "")
    assert len(done.errors) == 1
    assert done.err.startswith("fdikp: ")
    assert {"-o": "--output"}.get(args[0], args[0]) in done.err
    assert tree() == ["a.png"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("deblur a.png --format gif", "--format gif: choose avif, jpeg, png, tiff or webp"),
        ("deblur a.png --precision int8", "--precision int8: choose auto, bfloat16, float16 or float32"),
        ("deblur a.png --strength 50%", "--strength 50%: must be a number"),
        ("deblur a.png --quality high", "--quality high: must be a whole number"),
        ("deblur a.png --strength", "--strength: needs a value"),
        ("deblur a.png -o", "--output: needs a value"),
        ("deblur a.png --strenght 1", "--strenght: there is no such option; did you mean --strength?"),
        ("deblur a.png -x", "-x: there is no such option"),
        ("analyse a.png", "--output DIR is missing"),
        ("analyse a.png b.png -o out", "b.png: is one argument too many; usage: fdikp analyse [-h] [OPTIONS] PHOTO"),
        ("data check", "NAME and PATH are missing"),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_one_line(run, picture, tree, args, message):
    picture("a.png")
    done = run(*args.split(), model=False)
    assert (done.code, done.out, len(done.errors)) == (2, "", 1)
    assert done.err.startswith(f"fdikp: {message}")
    assert tree() == ["a.png"]


@pytest.mark.parametrize("args", [[], [""], ["a.png", ""]])
def test_no_input_is_a_wrong_command_line(deblur, args):
    done = deblur(*args)
    assert (done.code, done.out, len(done.errors)) == (2, "", 1)


def test_one_output_name_for_many_photographs_is_refused(deblur, picture, tree):
    picture("x/a.png"), picture("x/b.png")
    for inputs in (["x"], ["x/a.png", "x/b.png"], ["x/*"]):
        done = deblur(*inputs, "-o", "out.png")
        assert (done.code, len(done.errors)) == (2, 1)
        assert "name a folder" in done.err
    assert tree() == ["x/a.png", "x/b.png"]


def test_inputs_may_stand_on_both_sides_of_options(deblur, picture, tree):
    picture("a.png"), picture("b.png")
    assert deblur("a.png", "-o", "out", "b.png").code == 0
    assert tree("out") == ["a.png", "b.png"]


def test_a_name_with_a_leading_dash(deblur, picture, tree):
    picture("-a.png"), picture("--strip.png")
    done = deblur("-o", "out", "--", "-a.png", "--strip.png")
    assert (done.code, len(done.errors)) == (0, 1)
    assert tree("out") == ["--strip.png", "-a.png"]
    assert deblur("--", "-a.png").code == 0
    assert tree() == ["--strip.png", "-a.png", "-a_deblurred.png", "out/--strip.png", "out/-a.png"]


def test_no_arguments_at_all(deblur):
    done = deblur()
    assert done.code == 2
    assert done.err == "fdikp: nothing to deblur; give photos, folders or globs (see fdikp deblur --help)\n"


def test_one_line_stays_one_line():
    assert console.one_line("a\nb\x1b[31m\u2028ä") == "a\\x0ab\\x1b[31m\\u2028ä"


def test_explain_keeps_to_one_line(monkeypatch, capfd):
    monkeypatch.delenv("FDIKP_DEBUG", raising=False)
    assert "FDIKP_DEBUG=1" in console.explain(KeyError("x"))
    assert console.explain(OSError(28, "No space left on device", "a.jpg")) == "a.jpg: no space left on device"
    assert "--tile" in console.explain(MemoryError())
    assert capfd.readouterr().err == ""


def test_a_reader_that_goes_away_ends_the_run_quietly(picture, weights_file, tmp_path):
    for name in "abc":
        picture(f"{name}.png")
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "import sys; from fdikp.cli import main; sys.exit(main())"]
    arguments = ["deblur", "a.png", "b.png", "c.png", "--json", "--model", str(weights_file)]
    with os.fdopen(write, "wb") as stdout:
        done = subprocess.run(
            command + arguments, stdout=stdout, stderr=subprocess.PIPE, cwd=tmp_path, check=False, text=True
        )
    assert (done.returncode, done.stderr) == (141, "")
