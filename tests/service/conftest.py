"""A data folder with its settings and store, and small photos."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore

sys.path.insert(0, str(Path(__file__).parent))  # a worker process imports `engines` from there


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(
        tmp_path / "data", min_free_bytes=0, queue_length=6, jobs_per_client=3, drain_seconds=5, max_attempts=3
    )


@pytest.fixture
def store(settings: ServiceSettings) -> JobStore:
    return JobStore.of(settings)


@pytest.fixture
def photo() -> Callable[..., bytes]:
    """The bytes of a photo of noise."""

    def photo(width: int = 30, height: int = 20, format: str = "PNG", seed: int = 0, **options: object) -> bytes:
        noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).save(file, format, **options)
        return file.getvalue()

    return photo
