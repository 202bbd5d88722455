"""Errors: one line, a stable code, a hint at its end; and they survive the way between processes."""

import pickle

import pytest

from fdikp import errors
from fdikp.errors import DataError, FdikpError, PhotoError, PhotoNotFoundError, as_fdikp_error


def all_errors() -> list[FdikpError]:
    return [
        FdikpError("it failed"),
        PhotoError("a.jpg: it exists", code="output_exists", hint="choose another name"),
        PhotoNotFoundError("a.jpg: there is no such file"),
        DataError("two faults", ["one", "two"]),
        errors.Cancelled(),
        errors.WeightsNotFoundError("none: no model of this name"),
        errors.ArgumentError("must be at least 64", argument="tile", value=3, hint="use 512"),
    ]


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_in_another_process(error: FdikpError) -> None:
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


def test_the_hint_ends_the_line() -> None:
    error = PhotoError("a.jpg: it exists", code="output_exists", hint="choose another name")
    assert str(error) == "a.jpg: it exists; choose another name"
    assert (error.code, error.hint) == ("output_exists", "choose another name")


def test_a_missing_photo_is_an_error_of_both_kinds() -> None:
    with pytest.raises(FileNotFoundError, match=r"^a\.jpg: missing$"):
        raise PhotoNotFoundError("a.jpg: missing")
    assert isinstance(PhotoNotFoundError("a"), PhotoError)
    assert PhotoNotFoundError("a").code == "photo_not_found"


def test_an_argument_is_named_with_its_value() -> None:
    error = errors.ArgumentError("not usable here", argument="device", value="cuda:7", code="device_unusable")
    assert str(error) == "device='cuda:7': not usable here"
    assert isinstance(error, ValueError)
    assert (error.argument, error.value, error.reason) == ("device", "cuda:7", "not usable here")


def test_an_error_is_located_once() -> None:
    error = PhotoError("is empty", code="photo_damaged", hint="copy it again")
    located = error.located("a.jpg")
    assert (str(located), located.code, located.hint) == (
        "a.jpg: is empty; copy it again",
        "photo_damaged",
        "copy it again",
    )
    assert located.located("a.jpg") is located
    assert str(error) == "is empty; copy it again"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MemoryError(), "out_of_memory", "not enough memory; close other programs or choose a smaller tile"),
        (OSError(5, "Input/output error", "a"), "failed", "a: input/output error"),
        (OSError("odd"), "failed", "odd"),
        (KeyError("a\nb"), "internal_error", r"unexpected KeyError: 'a\nb'"),
        (RuntimeError("two\nlines"), "internal_error", "unexpected RuntimeError: two lines"),
    ],
)
def test_other_exceptions_get_a_code_and_stay_on_one_line(error: Exception, code: str, line: str) -> None:
    typed = as_fdikp_error(error)
    assert (typed.code, str(typed)) == (code, line)


def test_every_default_code_is_a_known_one() -> None:
    from typing import get_args

    classes = [FdikpError, *FdikpError.__subclasses__(), *PhotoError.__subclasses__()]
    assert {cls.default_code for cls in classes} <= set(get_args(errors.ErrorCode))


def test_an_unknown_model_has_its_own_code() -> None:
    from fdikp.models import describe

    with pytest.raises(errors.WeightsError) as raised:
        describe("fdikp-huge")
    assert raised.value.code == "model_unknown"
