"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from work_milestone.system import ReceiptError
from work_milestone.system.files import write_atomic

AS_ROOT = os.geteuid() == 0


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("text", ["", "plain\n", "é🦀\n", "bytes \udcff\udc80 of a file name", "a\r\nb"])
def test_write_atomic_keeps_texts(tmp_path: Path, text: str, durable: bool) -> None:
    path = tmp_path / "deep" / "er" / "file"
    write_atomic(path, "before", durable=durable)
    write_atomic(path, text, durable=durable)
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(ReceiptError, match="folder: cannot be written"):
        write_atomic(tmp_path / "folder", "text")
    with pytest.raises(ReceiptError, match="file/below: cannot be written"):
        write_atomic(tmp_path / "file" / "below", "text")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "before"


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere: run the tests as another user to see this one")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ReceiptError, match=r"cannot be written .*right to write"):
        write_atomic(tmp_path / "file", "text")


@pytest.mark.parametrize("text", ["\ud83e", "caf\udce9"])
def test_any_text_can_be_written(tmp_path: Path, text: str) -> None:
    write_atomic(tmp_path / "prompt.md", text)
    assert (tmp_path / "prompt.md").read_bytes()
