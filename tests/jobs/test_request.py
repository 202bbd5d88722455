"""Requests and results as JSON."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdikp.errors import ArgumentError, ErrorCode, FdikpError, PhotoError, RequestError
from fdikp.jobs.request import DeblurRequest, DeblurResult, Existing, Format

text = st.text(max_size=20)
# Names on disk are bytes: those that are not text arrive as lone surrogates
paths = st.text(st.characters(exclude_characters="\0", exclude_categories=()), min_size=1, max_size=20).map(Path)


def optional(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


requests = st.builds(
    DeblurRequest,
    source=paths,
    output=optional(paths),
    format=optional(st.sampled_from(get_args(Format))),
    quality=optional(st.integers(1, 100)),
    strip=st.booleans(),
    strength=st.floats(0, 2),
    mask=optional(paths),
    regions=st.lists(st.sampled_from(["120,80,400,300", "10%,20%,50%,50%", "0,0,1.5,2%"]), max_size=2).map(tuple),
    min_blur=optional(st.floats(0, 2)),
    max_blur=optional(st.floats(2, 1e6)),
    preview=optional(st.integers(1, 10**6)),
    blur_map=optional(paths),
    blur_map_figure=optional(paths),
    confidence_map=optional(paths),
    compare=optional(paths),
    max_pixels=st.integers(1, 2**63),
    existing=st.sampled_from(get_args(Existing)),
    adapt_extension=st.booleans(),
)
results = st.builds(
    DeblurResult,
    input=paths,
    output=optional(paths),
    status=st.sampled_from(["ok", "skipped", "failed"]),
    error=optional(text),
    code=optional(st.sampled_from(get_args(ErrorCode))),
    hint=optional(text),
    width=optional(st.integers(1, 10**6)),
    height=optional(st.integers(1, 10**6)),
    seconds=st.floats(0, 1e6),
    tiles=optional(st.integers(1, 999)),
    notes=st.lists(text, max_size=3).map(tuple),
    blur_map=optional(paths),
    blur_map_figure=optional(paths),
    confidence_map=optional(paths),
    compare=optional(paths),
    model=optional(text),
    weights_sha256=optional(text),
)


@given(requests | results)
def test_json_round_trip(record):
    line = record.to_json()
    assert "\n" not in line and line.isascii()
    assert type(record).from_json(line) == record
    assert list(json.loads(line)) == [field.name for field in fields(record)]


def test_fields_that_are_left_out_take_their_defaults():
    assert DeblurRequest.from_json('{"source": "a.jpg"}') == DeblurRequest(Path("a.jpg"))


def test_an_integer_is_a_number():
    request = DeblurRequest.from_json('{"source": "a.jpg", "strength": 2}')
    assert request.strength == 2 and isinstance(request.strength, float)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "DeblurRequest: not valid JSON"),
        ("{", "DeblurRequest: not valid JSON"),
        ("[" * 100_000, "DeblurRequest: not valid JSON"),
        (b"\xff", "DeblurRequest: not valid JSON"),
        ("[]", "DeblurRequest: must be a JSON object, not a list"),
        ("null", "DeblurRequest: must be a JSON object, not null"),
        ("{}", "DeblurRequest: the field 'source' is missing"),
        ('{"source": "a", "qualty": 90}', "DeblurRequest: unknown field 'qualty'; the fields are source, output,"),
        ('{"source": "a", "\\n": 90}', r"DeblurRequest: unknown field '\n'"),
        ('{"source": ""}', "the field 'source' must be a path, not \"\""),
        ('{"source": "a\\u0000b"}', "the field 'source' must be a path"),
        ('{"source": null}', "the field 'source' must be a path, not null"),
        ('{"source": "a", "output": 3}', "the field 'output' must be a path or null, not 3"),
        ('{"source": "a", "quality": 90.0}', "the field 'quality' must be an integer or null, not 90.0"),
        ('{"source": "a", "quality": true}', "the field 'quality' must be an integer or null, not true"),
        ('{"source": "a", "strip": 1}', "the field 'strip' must be true or false, not 1"),
        ('{"source": "a", "strength": "1"}', "the field 'strength' must be a number, not \"1\""),
        ('{"source": "a", "strength": true}', "the field 'strength' must be a number, not true"),
        ('{"source": "a", "strength": NaN}', "DeblurRequest: not valid JSON (NaN is not a JSON number)"),
        ('{"source": "a", "format": "bmp"}', "'format' must be one of jpeg, png, tiff, webp, avif or null"),
        ('{"source": "a", "existing": {}}', "'existing' must be one of refuse, skip, replace, not an object"),
        ('{"source": "a", "strength": 2.5}', "strength=2.5: must be between 0 and 2"),
        ('{"source": "a", "quality": 0}', "quality=0: must be between 1 and 100"),
        ('{"source": "a", "max_pixels": 0}', "max_pixels=0: must be at least 1"),
        ('{"source": "a", "mask": 1}', "the field 'mask' must be a path or null, not 1"),
        ('{"source": "a", "regions": "1,2,3,4"}', "the field 'regions' must be a list of strings, not \"1,2,3,4\""),
        ('{"source": "a", "regions": [1]}', "the field 'regions' must be a list of strings, not a list"),
        ('{"source": "a", "regions": ["1,2,3"]}', "region='1,2,3': must be X,Y,WIDTH,HEIGHT"),
        ('{"source": "a", "regions": ["1,2,0,4"]}', "region='1,2,0,4': is empty"),
        ('{"source": "a", "max_blur": -1}', "max_blur=-1.0: must be a radius in pixels, at least 0"),
        ('{"source": "a", "max_blur": 1e999}', "max_blur=inf: must be a radius in pixels, at least 0"),
        ('{"source": "a", "min_blur": 3, "max_blur": 2}', "min_blur=3.0: must be at most max_blur, which is 2"),
        ('{"source": "a", "preview": 0}', "preview=0: must be at least 1"),
    ],
)
def test_what_is_no_request_is_an_error_of_one_line(line, message):
    with pytest.raises(RequestError) as raised:
        DeblurRequest.from_json(line)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.code == "request_invalid"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"input": "a", "notes": "b"}', "the field 'notes' must be a list of strings, not \"b\""),
        ('{"input": "a", "notes": [1]}', "the field 'notes' must be a list of strings, not a list"),
        ('{"input": "a", "code": "x"}', "the field 'code' must be one of failed,"),
        ('{"source": "a"}', "DeblurResult: unknown field 'source'"),
    ],
)
def test_what_is_no_result_is_an_error(line, message):
    with pytest.raises(RequestError, match=message.replace("[", r"\[")):
        DeblurResult.from_json(line)


@pytest.mark.parametrize(
    "change",
    [
        {"strength": float("nan")},
        {"strength": -0.1},
        {"quality": 101},
        {"max_pixels": 0},
        {"format": "bmp"},
        {"max_bytes": 0},
        {"existing": "ask"},
        {"quality": "90"},
        {"quality": 90.5},
        {"quality": True},
        {"strength": "1"},
        {"strip": 1},
        {"max_pixels": None},
        {"output": 3},
        {"source": None},
        {"source": b"a.jpg"},
        {"min_blur": float("nan")},
        {"max_blur": -1},
        {"max_blur": True},
        {"preview": 0},
        {"preview": 1.5},
        {"regions": "1,2,3,4"},
        {"blur_map_figure": 1},
    ],
)
def test_values_of_a_wrong_type_or_range_are_refused(change):
    with pytest.raises(ArgumentError, match=rf"^{next(iter(change))}=.*: must be ") as raised:
        replace(DeblurRequest(Path("a.jpg")), **change)
    assert "null" not in str(raised.value)


def test_strings_become_paths_and_integers_numbers():
    request = DeblurRequest("a.jpg", "b.jpg", quality=np.int64(90), strength=1, blur_map="c.png")
    assert request == DeblurRequest(Path("a.jpg"), Path("b.jpg"), quality=90, strength=1.0, blur_map=Path("c.png"))
    assert DeblurRequest.from_json(request.to_json()) == request


def test_a_failed_result_names_its_photo_once():
    source = Path("x/a.jpg")
    for error in (FdikpError("not enough memory"), PhotoError("x/a.jpg: is empty", code="photo_damaged")):
        result = DeblurResult.failed(source, error, 1.5)
        assert result.error.count("x/a.jpg") == 1
        assert (result.status, result.code, result.hint, result.seconds) == ("failed", error.code, None, 1.5)
