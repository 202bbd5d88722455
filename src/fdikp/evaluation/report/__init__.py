"""An evaluation as one HTML page: `write_report`. The page needs no network and no other file."""

from fdikp.evaluation.report.embedded_images import ImageSource, ResultImages
from fdikp.evaluation.report.html_tables import Published
from fdikp.evaluation.report.page import write_report

__all__ = ["ImageSource", "Published", "ResultImages", "write_report"]
