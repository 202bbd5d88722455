"""What came of a whole run, in a few lines or as JSON."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fdikp.extras import install_hint
from fdikp.jobs.request import DeblurResult
from fdikp.jobs.skipped import SkippedFile, describe_skipped, photos_among


@dataclass(frozen=True)
class RunSummary:
    """What came of a run: of its photos, and of the files that it did not take."""

    results: Sequence[DeblurResult]
    """Of every photo."""

    skipped: Sequence[SkippedFile]
    """Files in folders that were not taken, as `InputFinder.search` returns them."""

    seconds: float
    """How long the run took."""

    def count(self, status: str) -> int:
        """How many results have this status."""
        return sum(result.status == status for result in self.results)

    @property
    def skipped_count(self) -> int:
        """Photos that were skipped: their result exists, or fdikp cannot read them. Earlier results do not count."""
        return self.count("skipped") + len(photos_among(self.skipped))

    @property
    def destination(self) -> Path | None:
        """The folder that holds all results; None if there are none, or no folder does."""
        done = [result.output for result in self.results if result.status in ("ok", "planned") and result.output]
        try:
            return Path(os.path.commonpath([path.parent for path in done])) if done else None
        except ValueError:  # on several drives, or absolute and relative names
            return None

    def lines(self) -> list[str]:
        """A line for each kind of files that were not taken, then one with the figures of the run.

        >>> results = [DeblurResult(Path("a.jpg"), Path("out/a.jpg")), DeblurResult(Path("b.jpg"), status="failed")]
        >>> RunSummary(results, [], 75.0).lines()
        ['1 done, 0 skipped, 1 failed in 1 min 15 s; results in out']
        """
        figures = f"{self.count('ok')} done, {self.skipped_count} skipped, {self.count('failed')} failed"
        where = f"; results in {self.destination}" if self.destination else ""
        return [*describe_skipped(self.skipped), f"{figures} in {duration(self.seconds)}{where}"]

    def plan_lines(self) -> list[str]:
        """`lines` for a dry run."""
        figures = f"{self.count('planned')} to do, {self.skipped_count} to skip, {self.count('failed')} would fail"
        where = f"; results would be in {self.destination}" if self.destination else ""
        return [*describe_skipped(self.skipped), f"{figures}{where}; nothing was written"]

    def to_json(self) -> str:
        """One line of JSON."""
        groups = Counter((one.reason, one.kind, one.extra) for one in self.skipped)
        values = {
            "done": self.count("ok"),
            "planned": self.count("planned"),
            "skipped": self.skipped_count,
            "failed": self.count("failed"),
            "destination": self.destination,
            "seconds": round(self.seconds, 3),
            "not_taken": [
                {"reason": reason, "kind": kind, "files": files, "hint": install_hint(extra) if extra else None}
                for (reason, kind, extra), files in groups.items()
            ],
        }
        return json.dumps(values, default=str)


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(3.21), duration(83), duration(7400)
    ('3.2 s', '1 min 23 s', '2 h 3 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
