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

from typing import TYPE_CHECKING

from fdikp._lazy import attach

_LAZY = {
    "DeblurRequest": "fdikp.jobs.request",
    "DeblurResult": "fdikp.jobs.request",
    "DecodedPhoto": "fdikp.jobs.steps",
    "Engine": "fdikp.jobs.engine",
    "InputFinder": "fdikp.jobs.discover",
    "InputPath": "fdikp.jobs.discover",
    "OutputNaming": "fdikp.jobs.plan",
    "RestoredPhoto": "fdikp.jobs.steps",
    "plan_jobs": "fdikp.jobs.plan",
    "read": "fdikp.jobs.steps",
    "restore": "fdikp.jobs.steps",
    "run": "fdikp.jobs.runner",
    "run_all": "fdikp.jobs.runner",
    "write": "fdikp.jobs.steps",
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

__getattr__, __dir__ = attach(__name__, _LAZY, __all__)
