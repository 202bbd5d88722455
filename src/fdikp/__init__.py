"""fdikp brings out-of-focus photos back into focus.

>>> import fdikp
>>> deblur = fdikp.load_model()                 # doctest: +SKIP
>>> sharp = deblur(blurred)                     # doctest: +SKIP

Importing this module is cheap: torch is loaded when a public name that needs it is first used.
"""

import logging
from typing import TYPE_CHECKING

from fdikp._lazy import attach

__version__ = "0.1.0"

_LAZY = {
    "Analysis": "fdikp.inference.results",
    "Deblurrer": "fdikp.inference.deblurrer",
    "load_model": "fdikp.inference.load",
    "evaluate": "fdikp.evaluation.evaluate",
    "FdikpError": "fdikp.errors",
    "PhotoError": "fdikp.errors",
    "WeightsError": "fdikp.errors",
    "Photo": "fdikp.imaging",
    "read_photo": "fdikp.imaging",
    "write_photo": "fdikp.imaging",
}

__all__ = [
    "Analysis",
    "Deblurrer",
    "FdikpError",
    "Photo",
    "PhotoError",
    "WeightsError",
    "evaluate",
    "load_model",
    "read_photo",
    "write_photo",
]

if TYPE_CHECKING:
    from fdikp.errors import FdikpError, PhotoError, WeightsError
    from fdikp.evaluation.evaluate import evaluate
    from fdikp.imaging import Photo, read_photo, write_photo
    from fdikp.inference.deblurrer import Deblurrer
    from fdikp.inference.load import load_model
    from fdikp.inference.results import Analysis


# Results carry notes for the caller; the log is optional
logging.getLogger(__name__).addHandler(logging.NullHandler())

__getattr__, __dir__ = attach(__name__, _LAZY, __all__)
