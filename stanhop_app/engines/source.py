"""A long table in Parquet of any size: one file, or a folder of files, partitioned or not, by path or URL."""

import contextlib
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from stanhop_app.data.reading import id_parts
from stanhop_app.errors import DataError

LARGEST_GROUP = 2**31
"""Bytes that one row group may say it has when it is unpacked; more is not read."""
ENDINGS = (".parquet", ".pq", ".parq")


@dataclass(frozen=True)
class ParquetSource:
    """Row groups of Parquet files, in the order of their paths."""

    path: str
    """A file or a folder, by path or by a URL that fsspec knows, such as s3://bucket/sales."""

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, None for the machine's own, and the path in it."""
        if "://" not in self.path:
            return None, self.path
        return url_place(self.path)

    @cached_property
    def files(self) -> list[tuple[str, int, str]]:
        """Path, bytes and what tells its version of every file, in order.

        Raises:
            DataError: if there is none, or one is no plain file.
        """
        system, path = self._place
        files = _local(Path(path)) if system is None else _remote(system, path)
        if not files:
            raise DataError(
                f"{self.path}: no Parquet file there; engines read Parquet ({', '.join(ENDINGS)})."
            )
        return sorted(files)

    @cached_property
    def _table(self) -> ds.Dataset:
        """The files as one table; folders such as shop=12 make a column of text.

        Raises:
            DataError: if a file is no Parquet.
        """
        system, root = self._place
        paths = [path for path, _, _ in self.files]
        names = sorted({key for path in paths for key in _keys(path, root)})
        partitioning = ds.partitioning(
            pa.schema([(name, pa.string()) for name in names]), flavor="hive"
        )

        def opened(schema: pa.Schema | None) -> ds.Dataset:
            return ds.dataset(
                paths,
                schema=schema,
                format="parquet",
                filesystem=system,
                partitioning=partitioning if names else None,
                partition_base_dir=root if names else None,
            )

        try:
            table = opened(None)
            # That of the first file would cut what others have more: columns, fractions, longer numbers.
            schemas = [table.schema, *(file.physical_schema for file in table.get_fragments())]
            return opened(_unified(schemas))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path}: cannot be read as Parquet ({_reason(error)}).") from None

    @cached_property
    def groups(self) -> list[ds.ParquetFileFragment]:
        """All row groups, in order.

        Raises:
            DataError: if a file cannot be read, or a row group is too large.
        """
        try:
            fragments = self._table.get_fragments()
            groups = [group for file in fragments for group in file.split_by_row_group()]
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path}: cannot be read as Parquet ({_reason(error)}).") from None
        for group in groups:
            if any(part.total_byte_size > LARGEST_GROUP for part in group.row_groups):
                raise DataError(
                    f"{group.path}: a row group says that it has more than {LARGEST_GROUP // 2**20:,} MB; "
                    "write the file with smaller ones."
                )
        return groups

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._table.schema.names)

    def ids(self, column: str) -> Iterator[tuple[int, list[str]]]:
        """Number of a row group, and the names of the series in a piece of it, as often as they change.

        Raises:
            DataError: if the column is not there, or a row names no series.
        """
        if column not in self.columns:
            several = len(id_parts(column, self.columns)) > 1
            joined = (
                f" Write them as one, such as a/b, into a column {column!r}." if several else ""
            )
            raise DataError(
                f"{self.path}: no column {column!r}, which named the series of the training; there are "
                f"{', '.join(self.columns)}.{joined}"
            )
        for number, group in enumerate(self.groups):
            row = 0
            for batch in self._batches(group, columns=[column]):
                names = text_of(batch.column(0))
                if names.null_count:
                    first = row + pc.index(pc.is_null(names), True).as_py() + 1
                    raise DataError(
                        f"{group.path}: id column {column!r} is empty, first in row {first} of row group "
                        f"{group.row_groups[0].id}; name the series, or drop these rows."
                    )
                row += len(batch)
                yield number, pc.unique(names).to_pylist()

    def rows(self, column: str, ids: Sequence[str], groups: Sequence[int]) -> pd.DataFrame:
        """The rows of some series, which lie in these row groups.

        Raises:
            DataError: if a file changed or cannot be read.
        """
        wanted, parts = pa.array(ids, pa.string()), []
        for number in groups:
            for batch in self._batches(self.groups[number]):
                names = text_of(batch.column(column))
                kept = pc.is_in(names, value_set=wanted)
                if pc.any(kept).as_py():
                    parts.append(pa.Table.from_batches([batch]).filter(kept))
        if not parts:
            raise DataError(f"{self.path}: series {ids[0]!r} is no longer there.")
        return pa.concat_tables(parts, promote_options="permissive").to_pandas()

    def _batches(
        self, group: ds.ParquetFileFragment, columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """A row group in pieces, so that little of it is in memory at once."""
        try:
            yield from group.scanner(
                schema=self._table.schema,
                columns=columns,
                batch_size=2**16,
                batch_readahead=1,
                fragment_readahead=1,
                use_threads=False,
            ).to_batches()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{group.path}: cannot be read ({_reason(error)}).") from None


def text_of(column: pa.Array) -> pa.Array:
    """Names of series as text: 12 and 12.0 are "12"; what is empty is missing."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    names = column.cast(pa.string())
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        # Value by value, or a name would be another one beside a fraction.
        whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), 2**53))
        if not pc.all(whole).as_py():  # fractions are written as Python does, as everywhere else
            texts = [None if value is None else str(value) for value in column.to_pylist()]
            names = pa.array(texts, pa.string())
        names = pc.if_else(
            whole, pc.if_else(whole, column, 0).cast(pa.int64()).cast("string"), names
        )
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(names), ""), None, names)


def _unified(schemas: list[pa.Schema]) -> pa.Schema:
    """One schema of files: the widest kind of every column, where there is one, else the first file's."""
    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            first = fields.setdefault(field.name, field)
            with contextlib.suppress(
                pa.ArrowException
            ):  # whoever reads the column says what is wrong
                both = pa.unify_schemas(
                    [pa.schema([first]), pa.schema([field])], promote_options="permissive"
                )
                fields[field.name] = both.field(0)
    return pa.schema(list(fields.values()), metadata=schemas[0].metadata)


def url_place(url: str) -> tuple[Any, str]:
    """File system and path of a URL.

    Raises:
        DataError: if nothing that is installed reads such URLs.
    """
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise DataError(f"{url}: cannot be opened ({_reason(error)}).") from None
    return system, str(path)


def _local(path: Path) -> list[tuple[str, int, str]]:
    """Plain files of this machine; hidden ones, and links that lead elsewhere, are not looked at."""
    try:
        if not path.is_dir():
            files = [path]
        else:
            files = [p for p in path.rglob("*") if p.suffix in ENDINGS]
            files = [p for p in files if not _is_hidden(str(p.relative_to(path)))]
        told = []
        for file in files:
            about = file.stat() if file == path else file.lstat()
            if stat.S_ISLNK(about.st_mode):
                raise DataError(f"{file}: is a link; engines read plain files.")
            if not stat.S_ISREG(about.st_mode):
                raise DataError(f"{file}: is no plain file.")
            told.append((str(file), about.st_size, str(about.st_mtime_ns)))
        return told
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _is_hidden(inner: str) -> bool:
    """Whether a file, or a folder that it lies in, is one that other programs leave out: .tmp, _temporary."""
    return any(part.startswith((".", "_")) for part in inner.split("/"))


def _remote(system: Any, path: str) -> list[tuple[str, int, str]]:
    """Files of another file system."""
    try:
        if system.isfile(path):
            files = {path: system.info(path)}
        else:
            listed = system.find(path, detail=True)
            files = {
                name: about
                for name, about in listed.items()
                if name.endswith(ENDINGS) and not _is_hidden(name.removeprefix(path))
            }
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)}).") from None
    versions = ("ETag", "etag", "mtime", "LastModified", "created")
    return [
        (name, int(about["size"]), str(next((about[v] for v in versions if v in about), "")))
        for name, about in files.items()
    ]


def _keys(path: str, root: str) -> list[str]:
    """Names in folders such as shop=12, below the folder that was named."""
    inner = path.removeprefix(root).strip("/").split("/")[:-1]
    return [part.split("=", 1)[0] for part in inner if "=" in part]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
