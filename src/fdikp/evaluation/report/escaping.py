"""Escaping, so that no name can break the page."""

import html
import json
from typing import Any


def plain(value: object) -> str:
    """Text with U+FFFD in place of what UTF-8 or HTML cannot hold, such as undecodable bytes of a file name."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def text(value: object) -> str:
    """Text escaped for HTML content or a quoted attribute.

    >>> text('a "quoted" <b> & co')
    'a &quot;quoted&quot; &lt;b&gt; &amp; co'
    """
    return html.escape(plain(value))


def script_data(value: Any) -> str:
    """JSON for a script element: nothing in it can end the element.

    >>> script_data("</script>")
    '"\\\\u003c/script>"'
    """
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
