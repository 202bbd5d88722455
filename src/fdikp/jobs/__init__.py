"""Jobs: the one way from an input photo to a restored file, for the command line, services, clusters and scripts.

One photo:

>>> from pathlib import Path
>>> import fdikp, fdikp.jobs as jobs
>>> engine = fdikp.load_model()                                                # doctest: +SKIP
>>> request = jobs.DeblurRequest(Path("photo.jpg"), Path("out/photo.jpg"), strength=0.8)
>>> result = jobs.run(request, engine)                                         # doctest: +SKIP
>>> result.status, result.output, result.code                                  # doctest: +SKIP
('ok', PosixPath('out/photo.jpg'), None)

A folder, with the next photo being read and the last result being written while the network works:

>>> naming = jobs.OutputNaming(suffix="", folder=Path("fixed"))
>>> requests = jobs.plan_jobs(naming.finder().find("holiday/"), naming)        # doctest: +SKIP
>>> jobs.run_all(requests, fdikp.load_model, finished=print)                   # doctest: +SKIP

The steps in different processes, each of which gets what the one before returned:

>>> jobs.write(jobs.restore(jobs.read(request), engine))                       # doctest: +SKIP

Requests and results are stored as JSON:

>>> jobs.DeblurRequest.from_json('{"source": "photo.jpg", "quality": 90}').quality
90

Nothing here imports torch, prints, or keeps state between calls: any object with `restore` can be the engine
(`engine.Engine`). Faults have a stable `code` (`fdikp.errors.ErrorCode`). Importing this module is cheap: numpy and
libvips are loaded when they are first needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_MODULES = {
    "DeblurRequest": "request",
    "DeblurResult": "request",
    "DecodedPhoto": "steps",
    "Engine": "engine",
    "InputFinder": "discover",
    "InputPath": "discover",
    "OutputNaming": "plan",
    "RestoredPhoto": "steps",
    "plan_jobs": "plan",
    "read": "steps",
    "restore": "steps",
    "run": "runner",
    "run_all": "runner",
    "write": "steps",
}

__all__ = [
    "DeblurRequest",
    "DeblurResult",
    "DecodedPhoto",
    "Engine",
    "InputFinder",
    "InputPath",
    "OutputNaming",
    "RestoredPhoto",
    "plan_jobs",
    "read",
    "restore",
    "run",
    "run_all",
    "write",
]

if TYPE_CHECKING:
    from fdikp.jobs.discover import InputFinder, InputPath
    from fdikp.jobs.engine import Engine
    from fdikp.jobs.plan import OutputNaming, plan_jobs
    from fdikp.jobs.request import DeblurRequest, DeblurResult
    from fdikp.jobs.runner import run, run_all
    from fdikp.jobs.steps import DecodedPhoto, RestoredPhoto, read, restore, write


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"fdikp.jobs.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'fdikp.jobs' has no attribute {name!r}")
