"""The page, where its files are part of the installation: they are listed once, and nothing else is ever opened."""

from importlib.resources import files

from fastapi import FastAPI, Request, Response

from fdikp.service.problems import Problem

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""By suffix; other files are not served."""


def page_files() -> dict[str, bytes]:
    """The files of the page by their names below its folder; none where the page is not installed."""
    folder = files("fdikp.service").joinpath("page")
    found: dict[str, bytes] = {}
    waiting = [("", folder)] if folder.is_dir() else []
    while waiting:
        prefix, current = waiting.pop()
        for entry in current.iterdir():
            name = prefix + entry.name
            if entry.is_dir():
                waiting.append((f"{name}/", entry))
            elif _suffix(name) in MEDIA_TYPES:
                found[name] = entry.read_bytes()
    return found


def add_page(app: FastAPI, contents: dict[str, bytes]) -> None:
    """Serve the page at `/` and its files below `/static/`; nothing, if there is no page."""
    if "index.html" not in contents:
        return

    def respond(name: str) -> Response:
        return Response(contents[name], media_type=MEDIA_TYPES[_suffix(name)], headers={"Cache-Control": "no-cache"})

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return respond("index.html")

    @app.get("/static/{name:path}", include_in_schema=False)
    async def file(name: str) -> Response:
        if name not in contents:
            raise Problem("not_found", "there is no such file", "")
        return respond(name)


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]
