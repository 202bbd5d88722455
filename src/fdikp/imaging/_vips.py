"""libvips, configured in one place: `from fdikp.imaging._vips import pyvips`."""

import logging

import pyvips

# Every photo is read and written once, so cached results would only occupy memory.
pyvips.cache_set_max(0)

# libvips logs each oddity of a file as a warning. What matters to the user is in `Photo.notes` or raised; the rest must
# not reach the terminal of a program that logs warnings. A level that the program has set is kept.
if logging.getLogger("pyvips").level == logging.NOTSET:
    logging.getLogger("pyvips").setLevel(logging.ERROR)


def has_operation(name: str) -> bool:
    """Tell whether this build of libvips has the operation `name`."""
    return bool(pyvips.type_find("VipsOperation", name))


__all__ = ["has_operation", "pyvips"]
