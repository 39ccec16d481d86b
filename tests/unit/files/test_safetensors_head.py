"""The header of a safetensors file, bounded."""

import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from skelab.data.datasets import holds_recordings
from skelab.errors import WeightsError
from skelab.files.safetensors_head import check_header, is_safetensors, read_metadata


def test_a_file_of_safetensors_is_told_by_its_start(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.zeros(3)}, path, {"skelab": "{}"})

    check_header(path, WeightsError)

    assert is_safetensors(path)
    assert read_metadata(path) == {"skelab": "{}"}


def test_another_file_and_none_have_no_metadata(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("twelve notes")

    assert not is_safetensors(path)
    assert read_metadata(path) == {}
    assert read_metadata(tmp_path / "none") == {}


def test_a_header_of_90_mb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 90_000_000) + b"{")
        file.truncate(100_000_000)

    with pytest.raises(WeightsError, match=r"at most 16,777,216 bytes, found one of 90,000,000"):
        check_header(path, WeightsError)
    assert read_metadata(path) == {}


def test_no_length_of_a_header_makes_it_a_pickle(tmp_path: Path) -> None:
    # The length stands first: 0x0280 bytes of it begin as a pickle of protocol 2 does.
    path = tmp_path / "net.safetensors"
    head = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path.write_bytes(struct.pack("<Q", 0x0280) + head.ljust(0x0280) + bytes(4))

    assert not holds_recordings(path)
