"""Name the results, and check them for collisions before any photo is decoded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fdikp.errors import ErrorCode, PhotoError
from fdikp.imaging.formats import FORMATS, HEAD_BYTES, format_of_suffix, sniff
from fdikp.jobs.discover import InputFinder, InputPath
from fdikp.jobs.masks import match_masks
from fdikp.jobs.request import PREVIEW_SUFFIX, RESULT_SUFFIX, SIDE_IMAGES, DeblurRequest, DeblurResult, Format


@dataclass(frozen=True)
class OutputNaming:
    """How the files that a job writes are named."""

    suffix: str = RESULT_SUFFIX
    """Inserted between name and extension of each result."""

    folder: Path | None = None
    """Where results go, as a mirror of the input tree; None: beside each photo."""

    file: Path | None = None
    """The whole name of the only result."""

    format: Format | None = None
    """Format of the results; None: each photo's own, or the one that the extension of `file` names."""

    blur_map: bool = False
    """Whether to write NAME_blurmap.png too."""

    compare: bool = False
    """Whether to write NAME_compare.jpg too."""

    blur_map_figure: bool = False
    """Whether to write NAME_blurmap_figure.png too."""

    confidence_map: bool = False
    """Whether to write NAME_confidence.png too."""

    def finder(self, mask: Path | None = None) -> InputFinder:
        """Finds photos in folders, but not the results that this naming gave them earlier, nor masks."""
        return InputFinder(output=self.folder, suffixes=(RESULT_SUFFIX, self.suffix), mask=mask)

    def apply(self, source: InputPath, settings: DeblurRequest) -> DeblurRequest:
        """A request for one photo: `settings` with the names of its files."""
        output = self.file or self._path(source, self.suffix, extension_of_result(source.path, self.format))
        return replace(
            settings,
            source=source.path,
            output=output,
            format=self.format,
            blur_map=self._side_image(source, settings, "blur_map"),
            blur_map_figure=self._side_image(source, settings, "blur_map_figure"),
            confidence_map=self._side_image(source, settings, "confidence_map"),
            compare=self._side_image(source, settings, "compare"),
            adapt_extension=self.file is None and self.format is None,
        )

    def _side_image(self, source: InputPath, settings: DeblurRequest, field: str) -> Path | None:
        """The name of a side image, if there is to be one; those of previews differ from those in full size."""
        if not getattr(self, field):
            return None
        suffix, extension = SIDE_IMAGES[field]
        return self._path(source, f"{PREVIEW_SUFFIX if settings.preview and not self.file else ''}{suffix}", extension)

    def _path(self, source: InputPath, suffix: str, extension: str) -> Path:
        """A file in the place of a photo's result, with its own suffix and extension."""
        path = self.file or (source.path if self.folder is None else self.folder / source.place)
        stem = path.stem if self.file or format_of_suffix(path) else path.name  # "scan.2024" has no extension
        return path.with_name(f"{stem}{suffix}{extension}")


def plan_jobs(
    inputs: Sequence[InputPath], naming: OutputNaming, settings: DeblurRequest | None = None
) -> list[DeblurRequest | DeblurResult]:
    """A request for each input, or the failed result of one that cannot be used.

    Where two requests would write the same file, neither is made; nor is one that would write over another's photo.
    Whether a photo may be replaced by its own result, or an older result by a new one, is decided by `existing` when
    its turn comes. Opens only photos whose names have no known extension.

    Args:
        inputs: the photos, as `InputFinder` finds them.
        naming: how the results are named.
        settings: a request whose other fields every planned request takes; of its paths only `mask` matters. If that is
            a folder, each photo gets the mask of its name, and a photo without one fails (`match_masks`).

    Returns:
        One item for each input, in their order.
    """
    settings = settings or DeblurRequest(Path())
    masks: list[Path | PhotoError | None] = [settings.mask] * len(inputs)
    if settings.mask is not None and settings.mask.is_dir():
        masks = [*match_masks(inputs, settings.mask)]

    def named(source: InputPath, mask: Path | PhotoError | None) -> DeblurRequest | DeblurResult:
        if source.error is not None:
            return DeblurResult.failed(source.path, source.error)
        if isinstance(mask, PhotoError):
            return DeblurResult.failed(source.path, mask)
        return replace(naming.apply(source, settings), mask=mask)

    planned = [named(source, mask) for source, mask in zip(inputs, masks, strict=True)]
    requests = [one for one in planned if isinstance(one, DeblurRequest)]
    by_source = {path_identity(request.source): request for request in requests}
    writers: dict[str, list[DeblurRequest]] = {}
    for request in requests:
        for path in request.outputs:
            writers.setdefault(path_identity(path), []).append(request)

    def conflict(request: DeblurRequest) -> PhotoError | None:
        """Why the request collides with itself or with another one."""
        if error := self_collision(request):
            return error
        for path in request.outputs:
            rivals = [rival for rival in writers[path_identity(path)] if rival is not request]
            if rivals:
                return _collision(
                    request, f"{path} would also be the result of {rivals[0].source}", "deblur them separately"
                )
            if by_source.get(path_identity(path), request) is not request:
                hint = "choose another suffix or output"
                return _collision(request, f"its result {path} is an input too", hint, "output_is_input")
        return None

    def checked(one: DeblurRequest | DeblurResult) -> DeblurRequest | DeblurResult:
        error = conflict(one) if isinstance(one, DeblurRequest) else None
        return DeblurResult.failed(one.source, error) if isinstance(one, DeblurRequest) and error else one

    return [checked(one) for one in planned]


def extension_of_result(source: Path, format: Format | None) -> str:
    """The extension, with its dot, of a photo's result: from its name, or from its first bytes if the name has none."""
    own = format_of_suffix(source)
    if own is None and format is None:
        try:
            with source.open("rb") as file:
                own = sniff(file.read(HEAD_BYTES))
        except OSError:
            pass  # reading the photo fails later, with a proper message
    target = format or own or "jpeg"
    if not FORMATS[target].writable:
        target = FORMATS[target].result
    return source.suffix if target == format_of_suffix(source) else FORMATS[target].suffixes[0]


def with_output(request: DeblurRequest) -> DeblurRequest:
    """The request with its result named, beside the photo, if it is not named yet."""
    if request.output is not None:
        return request
    suffix = RESULT_SUFFIX if request.preview is None else PREVIEW_SUFFIX
    named = OutputNaming(suffix, format=request.format).apply(InputPath(request.source, Path()), request)
    return replace(request, output=named.output, adapt_extension=named.adapt_extension)


def self_collision(request: DeblurRequest) -> PhotoError | None:
    """The error of a request whose files would overwrite each other, or the photo or its mask (only a result may
    replace the photo)."""
    names = [path_identity(path) for path in request.outputs]
    if len(set(names)) < len(names):
        return _collision(request, "its result and a side image would have the same name", "choose another suffix")
    if path_identity(request.source) in map(path_identity, request.side_images):
        return _collision(request, "would be replaced by a side image", "choose another name", "output_is_input")
    if request.mask is not None and path_identity(request.mask) in names:
        return _collision(request, f"would replace its mask {request.mask}", "choose another name", "output_is_input")
    return None


def path_identity(path: Path) -> str:
    """What all names of one file have in common, as far as the names alone show."""
    return os.path.normcase(os.path.abspath(path))  # noqa: PTH100 (keeps links as they are)


def _collision(request: DeblurRequest, what: str, hint: str, code: ErrorCode = "output_collision") -> PhotoError:
    return PhotoError(f"{request.source}: {what}", code=code, hint=hint)
