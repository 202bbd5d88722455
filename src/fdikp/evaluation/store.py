"""The folder of an evaluation: what is measured is kept at once, so that a stopped one goes on where it was."""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fdikp.errors import DataError
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo
from fdikp.evaluation.tables import Table, csv_rows, latex, markdown
from fdikp.files import atomic_write, cannot_be_written

PARTS = "images.jsonl"
"""A line for each picture, written as it is measured; the first line says what all numbers depend on."""


class Store:
    """Results in a folder.

    While pictures are measured it holds `images.jsonl`; `finish` writes results.json, images.csv, table.md and
    table.tex beside it.

    Args:
        folder: made if need be.
        about: what makes numbers comparable; another means another evaluation.
        resume: go on with what is there.

    Raises:
        DataError: the folder holds an evaluation and `resume` was not asked for, or one of other settings, or it
            cannot be written.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], *, resume: bool) -> None:
        self.folder, self.file = folder, folder / PARTS
        self.about = json.loads(json.dumps(about))
        self.known: dict[tuple[str, str, str], ImageResult] = {}
        """By model, data set and picture."""
        self.peaks: dict[str, float] = {}
        """Most memory, MiB, of each model so far."""
        there = self.file.exists()
        if there and not resume:
            raise DataError(f"{folder}: has an evaluation in it; go on with --resume, or give another --out")
        whole = self._read() if there else b""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if there:
                os.truncate(self.file, len(whole))  # a line that a killed run left unfinished
            self._lines = self.file.open("ab")
            if not whole:
                self._write(self.about)
        except OSError as error:
            raise DataError(cannot_be_written(self.file, error)) from error

    def add(self, result: ImageResult, peak_mib: float | None) -> None:
        """Keep a picture's scores.

        Raises:
            DataError: they cannot be written.
        """
        self.known[result.model, result.data, result.image] = result
        self._remember(result.model, peak_mib)
        try:
            self._write(asdict(result) | {"peak_mib": peak_mib})
        except OSError as error:
            raise DataError(cannot_be_written(self.file, error)) from error

    def finish(self, evaluation: Evaluation, further: Sequence[Table] = ()) -> None:
        """Write the documents of a finished evaluation, with further tables below the results.

        Raises:
            DataError: they cannot be written.
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
        """No more is added."""
        self._lines.close()

    def with_peak(self, model: ModelInfo) -> ModelInfo:
        """The model with the most memory it took, in this run and in those before."""
        return replace(model, peak_mib=self.peaks.get(model.name))

    def _write(self, line: Any) -> None:
        self._lines.write(json.dumps(line).encode() + b"\n")
        self._lines.flush()

    def _read(self) -> bytes:
        """Take over what is in the file; returns its whole lines."""
        try:
            data = self.file.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            first, *lines = whole.splitlines() or [b"null"]
            about = json.loads(first)
            if whole and not isinstance(about, dict):
                raise ValueError("its first line says nothing of its settings")
            results = [json.loads(line) for line in lines]
            for fields in results:
                peak = fields.pop("peak_mib")
                result = ImageResult(**fields)
                self.known[result.model, result.data, result.image] = result
                self._remember(result.model, peak)
        except OSError as error:
            raise DataError(f"{self.file}: cannot be read: {error.strerror}; give another --out") from error
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{self.file}: is damaged ({error}); give another --out") from error
        if whole and about != self.about:
            other = [name for name in self.about if name not in about or about[name] != self.about[name]]
            raise DataError(
                f"{self.folder}: was begun with other settings ({', '.join(other) or 'fewer'}); give another --out"
            )
        return whole

    def _remember(self, model: str, peak_mib: float | None) -> None:
        if peak_mib is not None:
            self.peaks[model] = max(peak_mib, self.peaks.get(model, 0.0))
