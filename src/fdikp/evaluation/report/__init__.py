"""One HTML page that shows what an evaluation found: `write_report`. The page needs no network and no other file."""

from fdikp.evaluation.report.embedded_images import Pictures, ResultImages
from fdikp.evaluation.report.html_tables import Published
from fdikp.evaluation.report.page import write_report

__all__ = ["Pictures", "Published", "ResultImages", "write_report"]
