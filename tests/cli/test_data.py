import json

import numpy as np
from PIL import Image


def test_the_report_on_a_valid_set(run, tmp_path):
    for kind, fill in (("source", 10), ("target", 200)):
        for name, size in (("a", (30, 20)), ("b", (20, 30))):
            (tmp_path / "mine" / kind).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, (fill, 0, 0)).save(tmp_path / "mine" / kind / f"{name}.png")
    done = run("data", "check", "mine", "mine", "--deep", model=False)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["own pairs: 2 images with ground truth, 8 bit", "sizes   30x20 (1), 20x30 (1)"]


def test_sources_that_equal_their_targets_are_named(run, picture, tmp_path):
    for name in ("a", "b", "c", "d"):
        picture(f"mine/source/{name}.png", (40, 48)), picture(f"mine/target/{name}.png", (40, 48))
    Image.open(tmp_path / "mine/source/b.png").save(tmp_path / "mine/target/b.png", compress_level=0)  # other bytes
    changed = np.array(Image.open(tmp_path / "mine/source/c.png"))
    changed[-1, -1, 0] ^= 1  # the last pixel alone
    Image.fromarray(changed).save(tmp_path / "mine/target/c.png")
    changed[0, 0] ^= 1
    Image.fromarray(changed).save(tmp_path / "mine/target/d.png")
    done = run("data", "check", "mine", "mine", model=False)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == (
        "warning 2 of 4 sources equal their targets, and are left out of measurements: a, b"
    )


def test_groups_and_notes_are_printed(run, picture, tmp_path):
    picture("a.png"), picture("b.png")
    (tmp_path / "pairs.csv").write_text("source,target,group,name\na.png,b.png,near,x\nb.png,a.png,far,y\n")
    assert "groups  near (1), far (1)" in run("data", "check", "mine", "pairs.csv", model=False).out
    picture("cuhk/out_of_focus0001.jpg")
    done = run("data", "check", "cuhk", "cuhk", model=False)
    assert "CUHK: 1 images without ground truth, 8 bit" in done.out
    assert "note    1 images where CUHK has 704" in done.out


def test_every_fault_is_a_line(run, picture, tmp_path):
    for name in "abcdefgh":
        picture(f"mine/source/{name}.png"), picture("mine/target/a.png"), picture("mine/target/z.png")
    (tmp_path / "mine/target/a.png").write_text("no picture")
    done = run("data", "check", "mine", "mine", model=False)
    assert done.code == 1
    assert done.errors == ["fdikp: mine: 9 faults"]
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines[:7]] == [f"mine/source/{name}.png" for name in "bcdefgh"]
    assert lines[7].startswith("mine/target/z.png: no image of that name")
    assert lines[8].startswith("mine/target/a.png: cannot be read")
    assert len(lines) == 9


def test_damaged_data_is_found_by_deep(run, picture, tmp_path):
    picture("mine/source/a.png", (64, 64)), picture("mine/target/a.png", (64, 64))
    data = bytearray((tmp_path / "mine/source/a.png").read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "mine/source/a.png").write_bytes(data)
    assert run("data", "check", "mine", "mine", model=False).code == 0
    done = run("data", "check", "mine", "mine", "--deep", model=False)
    assert (done.code, len(done.out.splitlines())) == (1, 1)
    assert "mine/source/a.png" in done.out


def test_json_is_one_object(run, picture, tmp_path):
    picture("mine/source/a.png"), picture("mine/target/a.png")
    report = json.loads(run("data", "check", "mine", "mine", "--json", model=False).out)
    assert report == {
        "ok": True, "data": "mine", "path": "mine", "split": "test", "kind": "pairs", "images": 1, "truth": True,
        "sizes": {"30x20": 1}, "bits": 8, "groups": {}, "identical": ["a"], "notes": [], "faults": [],
    }  # fmt: skip
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(tmp_path / "mine/source/a.png")
    done = run("data", "check", "mine", "mine", "--json", model=False)
    (line,) = done.out.splitlines()
    report = json.loads(line)
    assert (done.code, report["ok"]) == (1, False)
    assert "a.png is 6x5 but its target a.png 30x20" in report["faults"][0]


def test_a_split_that_is_there(run, picture):
    picture("D/train_c/source/000000.png"), picture("D/train_c/target/000000.png")
    assert run("data", "check", "mine", "D", "--split", "train", model=False).code == 0
    done = run("data", "check", "dpdd", "D", model=False)
    assert done.code == 1
    assert "D: is not laid out as DPDD, which has test_c/source/" in done.out


def test_invalid_names_and_splits(run):
    assert run("data", model=False).code == 2
    assert run("data", "mend", "mine", "mine", model=False).code == 2
    done = run("data", "check", "mine", "", model=False)
    assert (done.code, len(done.errors)) == (2, 1)
