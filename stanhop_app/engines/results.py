"""The folder of the results: a plan, and one Parquet file a block, each there whole or not at all."""

import contextlib
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stanhop_app.engines.plan import PLAN, Plan
from stanhop_app.engines.source import url_place
from stanhop_app.errors import ArtefactError, StorageError
from stanhop_app.files import LARGEST_JSON, read_plain, to_json, write_atomic
from stanhop_app.training.folder import writing

MARK = b"stanhop"
"""Key of what a part says of itself: the plan and the block that it is of."""


@dataclass(frozen=True)
class Results:
    """A folder of this machine, or one that fsspec knows, by URL."""

    path: str

    @property
    def is_remote(self) -> bool:
        """Whether it is told by a URL."""
        return "://" in self.path

    def lock(self) -> AbstractContextManager[None]:
        """Be the only process that begins or goes on with a job there; of URLs nothing is locked.

        Raises:
            BusyError: if another one does.
        """
        return contextlib.nullcontext() if self.is_remote else writing(Path(self.path))

    def plan(self) -> Plan | None:
        """The plan that lies there; None: there is none.

        Raises:
            ArtefactError: if it is damaged.
        """
        content = self._read(PLAN)
        return None if content is None else Plan.read(content, f"{self.path}/{PLAN}")

    def keep(self, plan: Plan) -> None:
        """Write a plan."""
        self._write(PLAN, (to_json(plan.as_json()) + "\n").encode())

    def names(self) -> set[str]:
        """Names of all entries but those that this package makes and removes itself.

        Raises:
            StorageError: if it is no folder.
        """
        try:
            if self.is_remote:
                system, path = url_place(self.path)
                listed = system.ls(path, detail=False) if system.exists(path) else []
                names = {str(name).rstrip("/").rsplit("/", 1)[-1] for name in listed}
            else:
                folder = Path(self.path)
                names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
        except OSError as error:
            raise StorageError(
                f"{self.path}: cannot be read ({error.strerror or error})."
            ) from error
        return {name for name in names if not name.startswith(".")}

    def is_done(self, number: int, mark: str) -> bool:
        """Whether the part of a block is there, whole, and of this plan."""
        try:
            if self.is_remote:
                system, path = url_place(self.path)
                with system.open(f"{path}/{part_name(number)}", "rb") as file:
                    metadata = pq.read_metadata(file).metadata
            else:
                part = Path(self.path) / part_name(number)
                if not part.is_file() or part.is_symlink():
                    return False
                metadata = pq.read_metadata(part).metadata
        except (FileNotFoundError, pa.ArrowException, OSError):
            return False
        return bool((metadata or {}).get(MARK) == _mark(mark, number))

    def write_part(self, number: int, mark: str, frame: pd.DataFrame) -> None:
        """Write the forecasts of a block, all or nothing."""
        table = pa.Table.from_pandas(frame, preserve_index=False)
        table = table.replace_schema_metadata(
            {**(table.schema.metadata or {}), MARK: _mark(mark, number)}
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        self._write(part_name(number), buffer.getvalue())

    def frames(self) -> Iterator[pd.DataFrame]:
        """The forecasts, a block each, in order.

        Raises:
            ArtefactError: if one is missing.
        """
        plan = self.plan()
        if plan is None:
            raise ArtefactError(f"{self.path}: holds no forecasts of stanhop.")
        mark = plan.sha256
        for number in range(len(plan.blocks)):
            if not self.is_done(number, mark):
                raise ArtefactError(f"{self.path}: block {number} is missing; run the job again.")
            content = self._read(part_name(number))
            yield pd.read_parquet(io.BytesIO(content or b""))

    def clear(self) -> None:
        """Remove the plan, then all parts, of an earlier job; nothing else is touched."""
        names = self.names()
        for name in [PLAN, *sorted(names - {PLAN})]:
            if name in names and (name == PLAN or (is_part_name(name) and self._is_ours(name))):
                self._remove(name)

    def _is_ours(self, name: str) -> bool:
        """Whether a file says that a job made it; others may be called so, too."""
        try:
            content = io.BytesIO(self._read(name) or b"")
            return MARK in (pq.read_metadata(content).metadata or {})
        except (ArtefactError, pa.ArrowException, OSError):
            return False

    def _read(self, name: str) -> bytes | None:
        try:
            if self.is_remote:
                system, path = url_place(self.path)
                content: bytes = system.cat_file(f"{path}/{name}")
                return content
            return read_plain(Path(self.path) / name, LARGEST_JSON * 16)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArtefactError(
                f"{self.path}/{name}: cannot be read ({error.strerror or error})."
            ) from error

    def _write(self, name: str, content: bytes) -> None:
        if not self.is_remote:
            write_atomic(Path(self.path) / name, lambda file: file.write_bytes(content))
            return
        system, path = url_place(self.path)
        try:
            system.makedirs(path, exist_ok=True)
            system.pipe_file(f"{path}/{name}", content)  # stores of objects put one whole
        except OSError as error:
            raise StorageError(f"{self.path}/{name}: cannot be written ({error}).") from error

    def _remove(self, name: str) -> None:
        if self.is_remote:
            system, path = url_place(self.path)
            system.rm_file(f"{path}/{name}")
        else:
            (Path(self.path) / name).unlink(missing_ok=True)


def part_name(number: int) -> str:
    """Name of the file of a block."""
    return f"part-{number:06d}.parquet"


def is_part_name(name: str) -> bool:
    """Whether a file is called as one of a block is."""
    digits = name.removeprefix("part-").removesuffix(".parquet")
    return name == f"part-{digits}.parquet" and digits.isdigit()


def _mark(plan: str, number: int) -> bytes:
    return f"{plan} {number}".encode()
