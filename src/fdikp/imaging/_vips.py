"""libvips, set up in one place: `from fdikp.imaging._vips import pyvips`."""

import logging

import pyvips

# Every photograph is read and written once, so results kept for a second use only hold memory.
pyvips.cache_set_max(0)

# libvips reports each oddity of a file as a warning. What matters to the user is in `Photo.notes` or raised; the
# rest must not reach the terminal of a program that logs warnings. A level chosen by that program stays.
if logging.getLogger("pyvips").level == logging.NOTSET:
    logging.getLogger("pyvips").setLevel(logging.ERROR)


def has_operation(name: str) -> bool:
    """Tell whether this build of libvips has the operation `name`."""
    return bool(pyvips.type_find("VipsOperation", name))


__all__ = ["has_operation", "pyvips"]
