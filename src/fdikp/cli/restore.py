"""One photograph of a `fdikp deblur` run: read, restore, write; and what became of it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from fdikp.cli import console
from fdikp.cli.plan import Job, key
from fdikp.cli.progress import Bars
from fdikp.errors import PhotoError

if TYPE_CHECKING:
    from fdikp.deblur import Deblurrer, Restoration
    from fdikp.imaging import Photo


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
    tiles: int | None = None
    notes: list[str] = field(default_factory=list)
    blur_map: str | None = None
    compare: str | None = None
    model: str | None = None
    weights_sha256: str | None = None

    @contextlib.contextmanager
    def catching(self) -> Iterator[None]:
        """Make an error this photograph's outcome, in one line that names it."""
        try:
            yield
        except Exception as error:
            reason = console.explain(error)
            self.status = "failed"
            self.error = reason if self.input in reason else f"{self.input}: {reason}"

    def line(self) -> str:
        """The outcome in words, for people."""
        if self.status == "skipped":
            return f"{self.input}: skipped, {self.output} exists"
        return "; ".join((f"{self.input} -> {self.output} ({self.seconds:.1f} s)", *self.notes))


class Restorer:
    """Does the jobs of one plan. The model is loaded when the first photograph needs it.

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
        self._planned = {key(path): job.source for job in jobs if not job.error for path in job.outputs}
        self._written: set[tuple[int, int]] = set()

    @cached_property
    def model(self) -> "Deblurrer":
        """The model."""
        return self.load()

    def run(self, job: Job, bars: Bars) -> Outcome:
        """Do one job.

        Raises:
            FdikpError: the model cannot be loaded. Whatever is wrong with the photograph is in the outcome.
        """
        started = time.perf_counter()
        outcome = Outcome(str(job.source))
        with outcome.catching():
            if job.error:
                raise PhotoError(job.error)
            self._admit(job, outcome)
        if outcome.status == "ok":
            model = self.model
            with outcome.catching():
                self._restore(model, job, outcome, bars)
        outcome.seconds = round(time.perf_counter() - started, 3)
        return outcome

    def _admit(self, job: Job, outcome: Outcome) -> None:
        """Let a job pass if its result may be written: else skip it, or raise PhotoError."""
        source, output = job.source, job.output
        if not output.exists():
            return
        mark = output.stat()
        if (mark.st_dev, mark.st_ino) in self._written:  # two names for one file, as where case does not count
            raise PhotoError(f"{source}: {output} was just written for another photograph; deblur them apart")
        if output.is_dir():
            raise PhotoError(f"{source}: its result {output} is a folder; give another --output or --suffix")
        if self.existing == "replace":
            return
        if output.samefile(source):
            raise PhotoError(f"{source}: would be replaced by its result; give --output, --suffix or --overwrite")
        if self.existing == "skip":
            outcome.status = "skipped"
            outcome.output = str(output)
            return
        raise PhotoError(f"{source}: {output} exists; give --overwrite, --skip-existing or another --output")

    def _restore(self, model: "Deblurrer", job: Job, outcome: Outcome, bars: Bars) -> None:
        from fdikp.imaging import read_photo

        photo = read_photo(job.source, max_pixels=self.max_pixels)
        fitting = self._fitting(job, photo, outcome)
        if fitting is not job:
            self._admit(fitting, outcome)
            if outcome.status == "skipped":
                return
        restored = model.restore(photo, strength=self.strength, blur_map=job.blur_map is not None, progress=bars.tile)
        notes = self._write(fitting, photo, restored)
        outcome.output = str(fitting.output)
        outcome.blur_map = str(job.blur_map) if job.blur_map else None
        outcome.compare = str(job.compare) if job.compare else None
        outcome.width, outcome.height = photo.width, photo.height
        outcome.tiles = restored.tiles
        outcome.notes += [*photo.notes, *restored.notes, *notes]
        outcome.model = model.name
        outcome.weights_sha256 = model.weights.sha256

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

    def _write(self, job: Job, photo: "Photo", restored: "Restoration") -> tuple[str, ...]:
        """Write the result, last, so that where it exists all does; if that fails nothing stays."""
        from fdikp.cli import figures
        from fdikp.imaging import Metadata, Photo, write_photo

        job.output.parent.mkdir(parents=True, exist_ok=True)
        try:
            if job.blur_map is not None and restored.blur_map is not None:
                picture = figures.blur_map(restored.blur_map, f"Blur map of {job.source.name}")
                write_photo(Photo(picture), job.blur_map, format="png")
            if job.compare is not None:
                both = figures.side_by_side(photo.pixels, restored.photo.pixels)
                colours = Metadata(icc=photo.metadata.icc)
                write_photo(Photo(both, metadata=colours), job.compare, format="jpeg", quality=92)
            notes = write_photo(restored.photo, job.output, quality=self.quality, strip=self.strip)
        except BaseException:
            for path in (job.blur_map, job.compare):
                if path is not None:
                    path.unlink(missing_ok=True)
            raise
        mark = job.output.stat()
        self._written.add((mark.st_dev, mark.st_ino))
        return notes
