"""Manifests: which files of an export belong together, and to which billing period.

AWS delivers a month again and again, each time in full and in several files; the manifest is written last and
says which files are the current ones. Known forms: the legacy CUR's `<report>-Manifest.json` (`reportKeys`), that of
AWS Data Exports (`dataFiles`; CUR 2.0 and FOCUS) and Azure's `manifest.json` (`blobs`).
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from connectors.errors import NotABillError

_PERIOD_IN_PATH = re.compile(r"BILLING_PERIOD=(\d{4}-\d{2})|(?:^|/)(\d{8}-\d{8})(?:/|$)")


class _BillingPeriod(Struct, frozen=True):
    start: str = ""
    end: str = ""


class _Blob(Struct):
    name: str = msgspec.field(name="blobName", default="")


class _RunInfo(Struct, frozen=True, rename="camel"):
    start_date: str = ""
    end_date: str = ""
    submitted_time: str = ""


class _ExportConfig(Struct, frozen=True, rename="camel"):
    export_name: str = ""


class _Document(Struct, rename="camel"):
    report_keys: tuple[str, ...] | None = None
    data_files: tuple[str, ...] | None = None
    blobs: tuple[_Blob, ...] | None = None
    report_name: str = ""
    export_name: str = ""
    billing_period: _BillingPeriod = _BillingPeriod()
    run_info: _RunInfo = _RunInfo()
    export_config: _ExportConfig = _ExportConfig()


class Manifest(Struct, frozen=True, kw_only=True):
    """delivery: `<export>/<billing period>`, the same for every update. keys: object keys or addresses of the files.

    issued: orders the updates of one delivery where the file system's times do not, "" when it is not told.
    """

    path: Path
    delivery: str
    keys: tuple[str, ...]
    issued: str = ""


def is_manifest(path: Path) -> bool:
    return path.name.casefold().endswith("manifest.json")


def read_manifest(path: Path, name: str) -> Manifest:
    """Raises NotABillError for JSON that is none of the known forms, OSError. *name*: what messages call the file."""
    expected = "a manifest with reportKeys (CUR), dataFiles (Data Exports) or blobs (Azure)"
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotABillError(name, expected, str(error)) from error
    keys = document.report_keys if document.report_keys is not None else document.data_files
    if keys is None and document.blobs is not None:
        keys = tuple(blob.name for blob in document.blobs)
    if keys is None:
        raise NotABillError(name, expected, "none of them")
    export = document.report_name or document.export_name or document.export_config.export_name or _export_of(path)
    return Manifest(
        path=path,
        delivery=f"{export}/{_period(document, path, keys)}",
        keys=keys,
        issued=document.run_info.submitted_time,
    )


def latest(manifests: Sequence[Manifest]) -> Manifest:
    """The one that is current, of several of the same delivery.

    A legacy CUR that keeps its versions has one manifest per version in a folder of its own and a copy of the latest
    one folder higher, so the one nearest to the root wins; then the latest by its own time, by the file's, by name.
    """
    return max(
        manifests,
        key=lambda manifest: (
            -len(manifest.path.parts),
            manifest.issued,
            manifest.path.stat().st_mtime_ns,
            manifest.path.as_posix(),
        ),
    )


def locate(manifest: Manifest, root: Path) -> tuple[list[Path], list[str]]:
    """The local files of a manifest, and the keys no file was found for.

    A key names an object in a bucket; a local copy may begin anywhere along it. So ever shorter ends of the key are
    looked for beside the manifest, then one folder higher, and so on up to *root*: the longest end that is there is
    the file. Nothing outside *root* is ever found, whatever a manifest says.
    """
    found, missing = [], []
    for key in manifest.keys:
        path = next((candidate for candidate in _candidates(manifest.path, key, root) if candidate.is_file()), None)
        if path is None:
            missing.append(key)
        else:
            found.append(path)
    return found, missing


def territory(manifest: Manifest) -> tuple[Path, ...]:
    """The folders whose data files are the manifest's to list; what it does not list there is an older version."""
    folder = manifest.path.parent
    parts = folder.parts
    if "metadata" not in parts:
        return (folder,)
    # Data Exports keep `metadata/BILLING_PERIOD=2024-01/` beside `data/BILLING_PERIOD=2024-01/`.
    at = len(parts) - 1 - parts[::-1].index("metadata")
    return folder, Path(*parts[:at], "data", *parts[at + 1 : at + 2])


def _candidates(manifest: Path, key: str, root: Path) -> Iterator[Path]:
    address = urlsplit(key)
    parts = [part for part in PurePosixPath(address.path if address.scheme else key).parts if part != "/"]
    if not parts or ".." in parts:
        return
    folders = [folder for folder in manifest.parents if folder == root or root in folder.parents]
    for begin in range(len(parts)):
        for folder in folders:
            yield folder.joinpath(*parts[begin:])


def _export_of(path: Path) -> str:
    stem = re.sub(r"[-_.]?manifest\.json$", "", path.name, flags=re.IGNORECASE)
    return stem or path.parent.name


def _period(document: _Document, path: Path, keys: Sequence[str]) -> str:
    start = document.billing_period.start or document.run_info.start_date
    end = document.billing_period.end or document.run_info.end_date
    if start:
        return f"{_day(start)}-{_day(end)}" if end else _day(start)
    for place in (path.as_posix(), *keys):
        if match := _PERIOD_IN_PATH.search(place):
            return match[1] or match[2]
    return path.parent.name


def _day(text: str) -> str:
    """`20231101T000000.000Z` and `2023-11-01T00:00:00Z` -> `20231101`."""
    return re.sub(r"\D", "", text)[:8]
