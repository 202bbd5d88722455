"""Links of Markdown files to files of the repository, which work there and on the website.

A link to a file that is a page (`MODEL_CARD.md` is the page `model-card`) becomes a link to that page. A link to any
other file of the repository becomes a download of the file.
"""

import posixpath
from pathlib import Path

from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).parents[2]

PAGES = {
    "README": "index",
    "CHANGELOG": "changelog",
    "CONTRIBUTING": "contributing",
    "MODEL_CARD": "model-card",
}
"""Markdown files in the root of the repository, without suffix, and the page that includes each."""


class RepositoryLinks(SphinxTransform):
    """Resolve links that lead out of `docs/`. What is not a file of the repository is left, and MyST warns of it."""

    default_priority = 400

    def apply(self) -> None:
        """Change the links of one page."""
        for link in list(self.document.findall(pending_xref)):
            if link.get("reftype") != "myst" or link["reftarget"] in self.env.found_docs:
                continue
            target = link["reftarget"].removeprefix(f"{ROOT}/")  # MyST gives the full path of files that exist
            from_page = posixpath.normpath(posixpath.join("docs", target))
            # A file that a page includes has links that start in the root
            path = next((path for path in (from_page, target) if self._file(path)), None)
            if path is None:
                continue
            if path in PAGES:
                link["reftarget"] = PAGES[path]
                link["refdomain"] = "doc"
            else:
                download = download_reference("", "", *link.children, refdoc=self.env.docname)
                download["reftarget"] = f"/../{self._file(path)}"
                link.replace_self(download)

    @staticmethod
    def _file(path: str) -> str | None:
        """The file of the repository that a link means; MyST has taken the suffix of a Markdown file away."""
        return next((name for name in (path, f"{path}.md") if (ROOT / name).is_file()), None)


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this when it loads the extension."""
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True}
