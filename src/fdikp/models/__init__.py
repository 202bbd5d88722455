"""Models, a network and its weights in a file: the shipped ones, and reading, writing and averaging any.

`descriptor` reads the description of a model without torch, `loading` builds its network, `saving` writes a file,
`averaging` takes the mean of several networks, and `infer_config` derives a configuration from tensors. `checksums`
reads and writes the list of the shipped files' sha256.

Importing this module is cheap: torch is loaded when a name that needs it is first used.
"""

from typing import TYPE_CHECKING

from fdikp._lazy import attach
from fdikp.models.descriptor import DEFAULT, SHIPPED, ModelDescriptor, available, describe, digest, weights_path
from fdikp.models.infer_config import config_from_state_dict

_LAZY = {
    "average": "fdikp.models.averaging",
    "load": "fdikp.models.loading",
    "save": "fdikp.models.saving",
    "save_calibrated": "fdikp.models.saving",
    "weight_cancellation": "fdikp.models.averaging",
}

__all__ = [
    "DEFAULT",
    "SHIPPED",
    "ModelDescriptor",
    "available",
    "average",
    "config_from_state_dict",
    "describe",
    "digest",
    "load",
    "save",
    "save_calibrated",
    "weight_cancellation",
    "weights_path",
]

if TYPE_CHECKING:
    from fdikp.models.averaging import average, weight_cancellation
    from fdikp.models.loading import load
    from fdikp.models.saving import save, save_calibrated

__getattr__, __dir__ = attach(__name__, _LAZY, __all__)
