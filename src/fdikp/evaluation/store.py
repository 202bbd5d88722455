"""The folder of an evaluation: every result is saved at once, so that a stopped evaluation can be resumed."""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fdikp.errors import DataError
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo
from fdikp.evaluation.tables import Table, csv_rows, latex, markdown
from fdikp.files import atomic_write, cannot_be_written

IMAGES_FILE = "images.jsonl"
"""A line for each result, written at once; the first line holds the settings that all results share."""


class Store:
    """Results in a folder.

    During an evaluation it holds `images.jsonl`; `finish` adds results.json, images.csv, table.md and table.tex.

    Args:
        folder: created if it does not exist.
        about: the settings that make results comparable; an evaluation resumes only with equal settings.
        resume: continue the evaluation in the folder, if there is one.

    Raises:
        DataError: the folder holds an evaluation and `resume` is False, or one with other settings, or it cannot be
            written.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], *, resume: bool) -> None:
        self.folder, self.file = folder, folder / IMAGES_FILE
        self.about = json.loads(json.dumps(about))
        self.results: dict[tuple[str, str, str], ImageResult] = {}
        """The results so far, by model, data set and image."""
        self.peaks: dict[str, float] = {}
        """Peak memory of each model so far, MiB."""
        exists = self.file.exists()
        if exists and not resume:
            raise DataError(f"{folder}: already holds an evaluation; resume it, or choose another folder")
        lines = self._read() if exists else b""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if exists:
                os.truncate(self.file, len(lines))  # drops the line that a killed run left unfinished
            self._open_file = self.file.open("ab")
            if not lines:
                self._write(self.about)
        except OSError as error:
            raise DataError(cannot_be_written(self.file, error)) from error

    def add(self, result: ImageResult, peak_mib: float | None) -> None:
        """Save a result.

        Raises:
            DataError: the file cannot be written.
        """
        self.results[result.model, result.data, result.image] = result
        self._update_peak(result.model, peak_mib)
        try:
            self._write(result.to_fields() | {"peak_mib": peak_mib})
        except OSError as error:
            raise DataError(cannot_be_written(self.file, error)) from error

    def finish(self, evaluation: Evaluation, further: Sequence[Table] = ()) -> None:
        """Write the documents of a finished evaluation, with further tables below the results.

        Raises:
            DataError: a document cannot be written.
        """
        table = io.StringIO(newline="")
        rows = csv_rows(evaluation)
        writer = csv.DictWriter(table, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
        documents: dict[str, Callable[[], str]] = {
            "results.json": evaluation.to_json,
            "images.csv": table.getvalue,
            "table.md": lambda: markdown(evaluation, further),
            "table.tex": lambda: latex(evaluation, further),
        }
        for name, text in documents.items():
            try:
                with atomic_write(self.folder / name) as file:
                    file.write(text().encode())
            except OSError as error:
                raise DataError(cannot_be_written(self.folder / name, error)) from error

    def close(self) -> None:
        """Close the file; nothing can be added afterwards."""
        self._open_file.close()

    def with_peak(self, model: ModelInfo) -> ModelInfo:
        """The model with its peak memory over this run and the resumed ones."""
        return replace(model, peak_mib=self.peaks.get(model.name))

    def _write(self, line: Any) -> None:
        self._open_file.write(json.dumps(line).encode() + b"\n")
        self._open_file.flush()

    def _read(self) -> bytes:
        """Load the results in the file; returns its complete lines."""
        try:
            data = self.file.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            first, *lines = whole.splitlines() or [b"null"]
            about = json.loads(first)
            if whole and not isinstance(about, dict):
                raise ValueError("its first line does not hold the settings")
            results = [json.loads(line) for line in lines]
            for fields in results:
                peak = fields.pop("peak_mib")
                result = ImageResult.from_fields(fields)
                self.results[result.model, result.data, result.image] = result
                self._update_peak(result.model, peak)
        except OSError as error:
            raise DataError(f"{self.file}: cannot be read: {error.strerror}; choose another folder") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{self.file}: is damaged ({error}); choose another folder") from error
        if whole and about != self.about:
            changed = [name for name in self.about if name not in about or about[name] != self.about[name]]
            raise DataError(
                f"{self.folder}: its evaluation has other settings ({', '.join(changed) or 'more'}); "
                "choose another folder"
            )
        return whole

    def _update_peak(self, model: str, peak_mib: float | None) -> None:
        if peak_mib is not None:
            self.peaks[model] = max(peak_mib, self.peaks.get(model, 0.0))
