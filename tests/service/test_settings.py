"""Settings are checked where they are made."""

from pathlib import Path

import pytest

from fdikp.errors import ArgumentError
from fdikp.service.catalogue import catalogue
from fdikp.service.parameters import JobParameters
from fdikp.service.settings import ServiceSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"port": 65536}, "port=65536: must be between 0 and 65535"),
        ({"max_body_bytes": 0}, "max_body_bytes=0: must be at least 1"),
        ({"queue_length": 0}, "queue_length=0: must be at least 1"),
        ({"keep": 0}, "keep=0: must be a number of seconds above 0"),
        ({"idle_timeout": float("nan")}, "idle_timeout=nan: must be a number of seconds above 0"),
        ({"drain_seconds": -1}, "drain_seconds=-1: must not be negative"),
        ({"decode_memory": 2**20}, "decode_memory=1048576: must be at least 256 MiB (268435456)"),
        ({"models": ()}, "models=(): must name at least one model"),
        ({"default_model": "x"}, "default_model='x': must be one of the models: fdikp-lite, fdikp-base"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_setting_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        ServiceSettings(Path("data"), **values)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"strength": 3.0}, "strength=3.0: must be between 0 and 2"),
        ({"strength": "1"}, "strength='1': must be a number"),
        ({"quality": 0}, "quality=0: must be between 1 and 100"),
        ({"format": "exe"}, "format='exe': must be one of jpeg"),
        ({"regions": ("1,2,3",)}, "region"),
        ({"max_blur": -1.0}, "max_blur=-1.0: must"),
        ({"strip": "yes"}, "strip='yes': must be true or false"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_parameter_is_named(values: dict[str, object], start: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        JobParameters(**values)  # type: ignore[arg-type]
    assert str(caught.value).startswith(start)


def test_parameters_have_no_path() -> None:
    assert "path" not in " ".join(map(str, JobParameters.__annotations__.values())).lower()


def test_the_default_model_comes_first(tiny_weights: Path) -> None:
    settings = ServiceSettings(Path("data"), models=("fdikp-lite", str(tiny_weights)), default_model=str(tiny_weights))
    assert [*catalogue(settings)] == ["tiny", "fdikp-lite"]


def test_two_models_of_a_name_are_refused(tiny_weights: Path) -> None:
    twice = (str(tiny_weights), f"{tiny_weights.parent}/./{tiny_weights.name}")
    with pytest.raises(ArgumentError, match="two models are named tiny"):
        catalogue(ServiceSettings(Path("data"), models=twice, default_model=twice[0]))
