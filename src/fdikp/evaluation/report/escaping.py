"""Text into HTML, so that no name can break the page."""

import html
import json
from typing import Any


def plain(value: object) -> str:
    """Text with a sign in place of what UTF-8 or HTML cannot hold, such as bytes of a file name that are no text."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def text(value: object) -> str:
    """Text for a page or a quoted attribute.

    >>> text('a "quoted" <b> & co')
    'a &quot;quoted&quot; &lt;b&gt; &amp; co'
    """
    return html.escape(plain(value))


def script_data(value: Any) -> str:
    """JSON that can stand in a script element: nothing in it can end the element.

    >>> script_data("</script>")
    '"\\\\u003c/script>"'
    """
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
