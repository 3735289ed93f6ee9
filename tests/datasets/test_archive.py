"""Source archives: nothing in them runs before their hash is checked, and what comes out is bounded."""

import hashlib
import io
import subprocess
import tarfile

import pytest
from stanhop_app.datasets import archive


def packed(members):
    """A source archive with these files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def test_code_of_another_archive_does_not_run(tmp_path, monkeypatch):
    """Pip runs setup.py to learn an archive's metadata; with a hash it looks first."""
    owned = tmp_path / "owned"
    content = packed(
        {
            "evil-1.0/setup.py": f"open({str(owned)!r}, 'w')\n".encode(),
            "evil-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
            "evil-1.0/data/a.csv": b"1",
        }
    )
    (tmp_path / "evil-1.0.tar.gz").write_bytes(content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "1")
    other = hashlib.sha256(b"the archive that was meant").hexdigest()
    with pytest.raises(subprocess.CalledProcessError) as caught:
        archive.read_members("evil==1.0", other, "evil-1.0/data/*")
    assert b"DO NOT MATCH THE HASHES" in caught.value.stderr
    assert not owned.exists()


def test_what_comes_out_of_an_archive_is_bounded(tmp_path, monkeypatch):
    file = tmp_path / "bomb.tar.gz"
    file.write_bytes(packed({"a/1.txt": b"0" * 600, "a/2.txt": b"0" * 600, "b": b"0" * 9000}))
    monkeypatch.setattr(archive, "LARGEST", 1000)
    with tarfile.open(file) as tar, pytest.raises(ValueError, match="a/2.txt: more than"):
        dict(archive._matching(tar, "a/*"))
    with tarfile.open(file) as tar:
        assert [name for name, _ in archive._matching(tar, "a/1*")] == ["a/1.txt"]
