"""Models: a network with its weights, as a file; what ships, and reading, writing and averaging any.

`descriptor` reads what a model is without torch, `loading` builds its network, `saving` writes one, `averaging` takes
the mean of several, and `infer_config` tells a network's configuration from its tensors.

Importing this module is cheap: torch is loaded when a name that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fdikp.models.descriptor import DEFAULT, SHIPPED, ModelDescriptor, available, describe, find, sha256
from fdikp.models.infer_config import config_from_state_dict

_LAZY = {
    "average": "fdikp.models.averaging",
    "cancellation": "fdikp.models.averaging",
    "load": "fdikp.models.loading",
    "save": "fdikp.models.saving",
}

__all__ = [
    "DEFAULT",
    "SHIPPED",
    "ModelDescriptor",
    "available",
    "average",
    "cancellation",
    "config_from_state_dict",
    "describe",
    "find",
    "load",
    "save",
    "sha256",
]

if TYPE_CHECKING:
    from fdikp.models.averaging import average, cancellation
    from fdikp.models.loading import load
    from fdikp.models.saving import save


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'fdikp.models' has no attribute {name!r}")
