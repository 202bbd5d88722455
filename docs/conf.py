"""How Sphinx builds the documentation: `make docs`, into build/docs. Nothing is fetched from the network."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

import fdikp

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "fdikp"
copyright = "The fdikp authors, Apache-2.0"
version = release = fdikp.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "program_help", "repository_links"]
exclude_patterns = ["_extensions"]

# Markdown pages; headings get the anchors that GitHub gives them
myst_heading_anchors = 3

# Docstrings: a name in single backticks is a link where it is documented, and code where it is not
default_role = "py:obj"
napoleon_numpy_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

smartquotes = False  # they make one dash of the two of an option

html_theme = "furo"
html_title = f"fdikp {version}"
html_static_path = ["_static"]
html_css_files = ["fdikp.css"]
html_copy_source = False
html_show_sphinx = False


def keep_first_line(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Keep napoleon from reading "[H, W] float32: the dilation" as a type and a description, by an empty comment."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]


def setup(app: Sphinx) -> None:
    """Sphinx calls this after it has read this file."""
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)  # napoleon has 500
