"""Jobs: the one way from an input photo to a restored file, for the command line, services, clusters and scripts.

One photo:

>>> from pathlib import Path
>>> import fdikp, fdikp.jobs as jobs
>>> engine = fdikp.load_model()                                                # doctest: +SKIP
>>> request = jobs.DeblurRequest(Path("photo.jpg"), Path("out/photo.jpg"), strength=0.8)
>>> result = jobs.run(request, engine)                                         # doctest: +SKIP
>>> result.status, result.output, result.code                                  # doctest: +SKIP
('ok', PosixPath('out/photo.jpg'), None)

Only a part of it, and the blur radius as an image of 16 bits:

>>> request = jobs.DeblurRequest(
...     Path("photo.jpg"), max_blur=4, regions=("10%,10%,50%,50%",), blur_map=Path("radius.png")
... )

A folder, with the next photo being read and the last result being written while the network works:

>>> naming = jobs.OutputNaming(suffix="", folder=Path("fixed"))
>>> found = naming.finder().search("holiday/")                                 # doctest: +SKIP
>>> requests = jobs.plan_jobs(found.photos, naming)                            # doctest: +SKIP
>>> jobs.run_all(requests, fdikp.load_model, finished=print)                   # doctest: +SKIP

`found.skipped` lists the files that look like photos and were not taken. What a run would do, without doing it:

>>> for result in jobs.dry_run(requests):                                      # doctest: +SKIP
...     print(result.status, result.input, result.output)

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
    "Findings": "fdikp.jobs.discover",
    "InputFinder": "fdikp.jobs.discover",
    "InputPath": "fdikp.jobs.discover",
    "OutputNaming": "fdikp.jobs.plan",
    "RestoredPhoto": "fdikp.jobs.steps",
    "RunSummary": "fdikp.jobs.summary",
    "SkippedFile": "fdikp.jobs.skipped",
    "check": "fdikp.jobs.steps",
    "dry_run": "fdikp.jobs.runner",
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
    "Findings",
    "InputFinder",
    "InputPath",
    "OutputNaming",
    "RestoredPhoto",
    "RunSummary",
    "SkippedFile",
    "check",
    "dry_run",
    "plan_jobs",
    "read",
    "restore",
    "run",
    "run_all",
    "write",
]

if TYPE_CHECKING:
    from fdikp.jobs.discover import Findings, InputFinder, InputPath
    from fdikp.jobs.engine import Engine
    from fdikp.jobs.plan import OutputNaming, plan_jobs
    from fdikp.jobs.request import DeblurRequest, DeblurResult
    from fdikp.jobs.runner import dry_run, run, run_all
    from fdikp.jobs.skipped import SkippedFile
    from fdikp.jobs.steps import DecodedPhoto, RestoredPhoto, check, read, restore, write
    from fdikp.jobs.summary import RunSummary

__getattr__, __dir__ = attach(__name__, _LAZY, __all__)
