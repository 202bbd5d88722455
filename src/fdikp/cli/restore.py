"""The stages of a photograph in a `fdikp deblur` run: read, restore, write; and what became of it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fdikp.cli import console
from fdikp.cli.plan import Job, key
from fdikp.cli.progress import Bars
from fdikp.errors import PhotoError

if TYPE_CHECKING:
    from fdikp.imaging import Photo
    from fdikp.inference.deblurrer import Deblurrer, Restoration


@dataclass
class Outcome:
    """What became of one photograph. Its fields are the keys of a `--json` line; None where there is nothing to say."""

    input: str
    output: str | None = None
    status: Literal["ok", "skipped", "failed"] = "ok"
    error: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float = 0.0
    """Of reading, restoring and writing it; what it waited for other photographs and for the model is left out."""
    tiles: int | None = None
    notes: list[str] = field(default_factory=list)
    blur_map: str | None = None
    compare: str | None = None
    model: str | None = None
    weights_sha256: str | None = None

    @contextlib.contextmanager
    def stage(self) -> Iterator[None]:
        """Count the time within, and make an error there this photograph's outcome, in one line that names it."""
        started = time.perf_counter()
        try:
            yield
        except Exception as error:
            reason = console.explain(error)
            self.status = "failed"
            self.error = reason if self.input in reason else f"{self.input}: {reason}"
        finally:
            self.seconds = round(self.seconds + time.perf_counter() - started, 3)

    def line(self) -> str:
        """The outcome in words, for people."""
        if self.status == "skipped":
            return f"{self.input}: skipped, {self.output} exists"
        return "; ".join((f"{self.input} -> {self.output} ({self.seconds:.1f} s)", *self.notes))


@dataclass
class Task:
    """A photograph on its way through the stages."""

    job: Job
    outcome: Outcome
    admitted: bool = False
    """It needs the model."""
    photo: "Photo | None" = None
    restored: "Restoration | None" = None

    @property
    def weight(self) -> int:
        """Bytes of its pixels; its result takes as many again."""
        return 0 if self.photo is None else self.photo.pixels.nbytes


class Restorer:
    """Does the jobs of one plan, in three stages that may run side by side, each taking the jobs in their order.

    The model is loaded when the first photograph needs it: in the second stage, as the next photograph is read.

    Args:
        jobs: the plan.
        load: loads the model.
        strength: as for `Deblurrer.restore`.
        quality: as for `write_photo`.
        strip: as for `write_photo`.
        max_pixels: as for `read_photo`.
        existing: what to do about a result that exists.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        load: "Callable[[], Deblurrer]",
        *,
        strength: float,
        quality: int | None,
        strip: bool,
        max_pixels: int,
        existing: Literal["refuse", "skip", "replace"],
    ) -> None:
        self.load = load
        self.strength = strength
        self.quality = quality
        self.strip = strip
        self.max_pixels = max_pixels
        self.existing = existing
        # The first stage alone looks at what is planned, the last at what is written
        self._planned = {key(path): job.source for job in jobs if not job.error for path in job.outputs}
        self._written: set[tuple[int, int]] = set()

    @cached_property
    def model(self) -> "Deblurrer":
        """The model."""
        return self.load()

    def read(self, job: Job) -> Task:
        """The first stage: see whether the job may be done, and read its photograph."""
        task = Task(job, Outcome(str(job.source)))
        with task.outcome.stage():
            if job.error:
                raise PhotoError(job.error)
            if self._admits(job, task.outcome):
                self._read(task)
        return task

    def restore(self, task: Task, bars: Bars) -> Task:
        """The second stage: the network's work.

        Raises:
            FdikpError: the model cannot be loaded. Whatever is wrong with the photograph is in the outcome.
        """
        if not task.admitted:
            return task
        model = self.model
        if task.photo is None:
            return task
        bars.begin(task.job.source.name)
        with task.outcome.stage():
            task.restored = model.restore(
                task.photo, strength=self.strength, blur_map=task.job.blur_map is not None, progress=bars.tile
            )
        return task

    def write(self, task: Task) -> Outcome:
        """The third stage: write what there is to write. All earlier jobs of the plan have been through it."""
        job, outcome = task.job, task.outcome
        if not job.error and self._just_written(job.output):
            outcome = Outcome(outcome.input, seconds=outcome.seconds)
            with outcome.stage():
                raise PhotoError(
                    f"{job.source}: {job.output} was just written for another photograph; deblur them apart"
                )
        elif task.photo is not None and task.restored is not None:
            with outcome.stage():
                self._write(job, task.photo, task.restored, outcome)
        return outcome

    def _admits(self, job: Job, outcome: Outcome) -> bool:
        """Whether the job's result is to be made: else it is skipped, or PhotoError raised."""
        source, output = job.source, job.output
        if not output.exists():
            return True
        if output.is_dir():
            raise PhotoError(f"{source}: its result {output} is a folder; give another --output or --suffix")
        if self.existing == "replace":
            return True
        if output.samefile(source):
            raise PhotoError(f"{source}: would be replaced by its result; give --output, --suffix or --overwrite")
        if self.existing == "skip":
            outcome.status = "skipped"
            outcome.output = str(output)
            return False
        raise PhotoError(f"{source}: {output} exists; give --overwrite, --skip-existing or another --output")

    def _just_written(self, output: Path) -> bool:
        """Whether this run has written that file: two names can stand for one, as where case does not count."""
        if not output.exists():
            return False
        mark = output.stat()
        return (mark.st_dev, mark.st_ino) in self._written

    def _read(self, task: Task) -> None:
        from fdikp.imaging import read_photo

        task.admitted = True
        photo = read_photo(task.job.source, max_pixels=self.max_pixels)
        fitting = self._fitting(task.job, photo, task.outcome)
        if fitting is task.job or self._admits(fitting, task.outcome):
            task.photo = photo
        task.job = fitting

    def _fitting(self, job: Job, photo: "Photo", outcome: Outcome) -> Job:
        """The job with the extension that fits what the photograph turned out to be, whatever its name said."""
        from fdikp.imaging import FORMATS, output_format
        from fdikp.imaging.formats import format_of_suffix

        format, extension = output_format(photo)
        if job.chosen or format_of_suffix(job.output) == format:
            return job
        output = job.output.with_suffix(extension)
        holds = FORMATS[photo.format].title
        if key(output) in self._planned:
            raise PhotoError(
                f"{job.source}: holds {holds}, so its result would be {output}, which is that of "
                f"{self._planned[key(output)]} too; give --format or correct its name"
            )
        self._planned[key(output)] = job.source
        outcome.notes.append(f"The content is {holds}, so the result is named {output.name}.")
        return replace(job, output=output)

    def _write(self, job: Job, photo: "Photo", restored: "Restoration", outcome: Outcome) -> None:
        """Write the result, last, so that where it exists all does; if that fails nothing stays."""
        from fdikp.imaging import write_photo

        job.output.parent.mkdir(parents=True, exist_ok=True)
        try:
            if job.blur_map is not None or job.compare is not None:
                self._write_figures(job, photo, restored)
            notes = write_photo(restored.photo, job.output, quality=self.quality, strip=self.strip)
        except BaseException:
            for path in (job.blur_map, job.compare):
                if path is not None:
                    path.unlink(missing_ok=True)
            raise
        mark = job.output.stat()
        self._written.add((mark.st_dev, mark.st_ino))
        model = self.model
        outcome.output = str(job.output)
        outcome.blur_map = str(job.blur_map) if job.blur_map else None
        outcome.compare = str(job.compare) if job.compare else None
        outcome.width, outcome.height = photo.width, photo.height
        outcome.tiles = restored.tiles
        outcome.notes += [*photo.notes, *restored.notes, *notes]
        outcome.model = model.name
        outcome.weights_sha256 = model.weights.sha256

    def _write_figures(self, job: Job, photo: "Photo", restored: "Restoration") -> None:
        """Write the pictures that go with a result."""
        from fdikp.imaging import Metadata, Photo, write_photo
        from fdikp.plots import analysis as figures

        if job.blur_map is not None and restored.blur_map is not None:
            picture = figures.blur_map(restored.blur_map, f"Blur map of {job.source.name}")
            write_photo(Photo(picture), job.blur_map, format="png")
        if job.compare is not None:
            both = figures.side_by_side(photo.pixels, restored.photo.pixels)
            colours = Metadata(icc=photo.metadata.icc)
            write_photo(Photo(both, metadata=colours), job.compare, format="jpeg", quality=92)
