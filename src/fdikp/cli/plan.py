"""Which file becomes which: decided, and checked for collisions, before any photograph is opened."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fdikp.cli.find import Found


@dataclass(frozen=True, slots=True)
class Job:
    """One photograph and the files made from it."""

    source: Path
    output: Path
    blur_map: Path | None = None
    compare: Path | None = None
    chosen: bool = False
    """The user chose the output's format, or all of its name: it stays whatever the photograph turns out to be."""

    error: str = ""
    """Why the job cannot be done, in one line that names the photograph; empty if it can."""

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that the job writes."""
        return tuple(path for path in (self.output, self.blur_map, self.compare) if path is not None)


@dataclass(frozen=True)
class Naming:
    """How results are named."""

    extension: Callable[[Path], str]
    """The extension, with its dot, of the result of a photograph."""

    is_photo: Callable[[Path], bool]
    """Whether a name ends as photographs' names do; what else follows a dot belongs to the name."""

    suffix: str
    """What is put between name and extension."""

    folder: Path | None = None
    """Where results go, as a mirrored tree; None is beside each photograph."""

    file: Path | None = None
    """The name of the only result."""

    chosen: bool = False
    """The extension is the user's choice, not a guess from the photograph's name."""

    blur_map: bool = False
    compare: bool = False

    def job(self, found: Found) -> Job:
        """Name the files that one photograph becomes."""
        if found.error:
            return Job(found.path, found.path, error=found.error)
        path = found.path if self.folder is None else self.folder / found.place
        stem = path.stem if self.is_photo(path) else path.name
        output = self.file or path.with_name(f"{stem}{self.suffix}{self.extension(found.path)}")
        if self.file:
            stem = self.file.stem
        return Job(
            found.path,
            output,
            output.with_name(f"{stem}_blurmap.png") if self.blur_map else None,
            output.with_name(f"{stem}_compare.jpg") if self.compare else None,
            self.chosen,
        )


def plan(found: Sequence[Found], naming: Naming) -> list[Job]:
    """A job for each photograph, in order. Of jobs that would write the same file, none may run.

    Neither may a job that would write over another's photograph. Whether it may write over its own, or over an older
    result, is for `--overwrite` to say when its turn comes. Looks at no file.
    """
    jobs = [naming.job(one) for one in found]
    usable = [job for job in jobs if not job.error]
    sources = {key(job.source): job for job in usable}
    writers: dict[str, list[Job]] = {}
    for job in usable:
        for path in job.outputs:
            writers.setdefault(key(path), []).append(job)

    def conflict(job: Job) -> str:
        if len({key(path) for path in job.outputs}) < len(job.outputs):
            return f"{job.source}: its result would have the name of a picture beside it; give another --suffix"
        for path in job.outputs:
            rivals = [rival for rival in writers[key(path)] if rival is not job]
            if rivals:
                return f"{job.source}: {path} would also be the result of {rivals[0].source}; deblur them apart"
            if sources.get(key(path), job) is not job:
                return f"{job.source}: its result {path} is an input too; give another --suffix or --output"
        return ""

    return [job if job.error else replace(job, error=conflict(job)) for job in jobs]


def key(path: Path) -> str:
    """What two names of one file have in common, as far as can be told without looking at the disk."""
    return os.path.normcase(os.path.abspath(path))  # noqa: PTH100 (links stay as they are)
