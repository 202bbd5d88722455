"""One HTML page that shows what an evaluation found: `write_report`. The page needs no network and no other file."""

from fdikp.evaluation.report.page import write_report
from fdikp.evaluation.report.pictures import Pictures, Shown
from fdikp.evaluation.report.tables import Published

__all__ = ["Pictures", "Published", "Shown", "write_report"]
