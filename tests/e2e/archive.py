"""`archive.py ROOT OUT.tar NAME:TAG=COMMAND...`: images that share one layer, as `docker save` writes them.

In: a folder with a root file system. Out: the archive; each image runs its COMMAND as its entry point.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path


class _Hashing(io.RawIOBase):
    """A file that is hashed while it is written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override] # what tarfile gives
        self.digest.update(data)
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def main(root: Path, out: Path, images: list[str]) -> None:
    """Writes the archive."""
    layer = out.with_suffix(".layer")
    sink = _Hashing(layer)
    with tarfile.open(fileobj=sink, mode="w|") as tar:
        tar.add(root, arcname=".", filter=_plain)
    sink.close()
    digest = sink.digest.hexdigest()
    manifest = []
    with tarfile.open(out, "w") as tar:
        for image in images:
            name, _, command = image.partition("=")
            config = {
                "architecture": "amd64",
                "os": "linux",
                "config": {
                    "Entrypoint": command.split(),
                    "User": "65532:65532",
                    "Env": ["PATH=/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"],
                    "WorkingDir": "/",
                },
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                "history": [{"created_by": "archive.py"}],
            }
            data = json.dumps(config).encode()
            file = f"{hashlib.sha256(data).hexdigest()}.json"
            manifest.append({"Config": file, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]})
            _add(tar, file, data)
        tar.add(layer, f"{digest}/layer.tar", filter=_plain)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    layer.unlink()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
