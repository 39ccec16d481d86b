"""Names of graphics processors, and amounts of memory."""

import re
from importlib import resources

import pytest
import yaml

from skelab.errors import GpuError
from skelab.fit.gpus import GIB, MIB, find_gpu, list_gpu_models, parse_memory, typical_gpu
from skelab.training.config import Precision


@pytest.mark.parametrize(
    ("name", "found", "gigabytes"),
    [
        ("RTX 3060", "RTX 3060", 12),
        ("nvidia geforce rtx3060", "RTX 3060", 12),
        ("3060", "RTX 3060", 12),
        ("RTX 3060 8GB", "RTX 3060 8GB", 8),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", "RTX 3060 Laptop", 6),
        ("rtx-3070 mobile", "RTX 3070 Laptop", 8),
        ("GeForce GTX 1660 SUPER", "GTX 1660 Super", 6),
        ("Tesla T4", "T4", 16),
        ("V100", "V100 16GB", 16),
        ("Tesla V100-SXM2-32GB", "V100 32GB", 32),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB", 40),
        ("A100-PCIE-40GB", "A100 40GB", 40),
        ("NVIDIA H100 80GB HBM3", "H100", 80),
        ("NVIDIA H100 PCIe", "H100 PCIe", 80),
        ("RTX 4090 24 GiB", "RTX 4090", 24),
        ("GTX 1060 3GB", "GTX 1060 6GB", 3),
    ],
)
def test_a_name_is_found_however_it_is_written(name: str, found: str, gigabytes: int) -> None:
    gpu = find_gpu(name)

    assert gpu.name == found
    assert gpu.memory == gigabytes * GIB


def test_other_memory_means_the_variant_that_has_it_or_the_same_card_with_it() -> None:
    variant = find_gpu("RTX 3060", 8 * GIB)
    other = find_gpu("RTX 3060", 10 * GIB)

    assert (variant.name, variant.bandwidth) == ("RTX 3060 8GB", 240e9)
    assert (other.name, other.bandwidth, other.memory) == ("RTX 3060", 360e9, 10 * GIB)


@pytest.mark.parametrize("name", ["RTX 3061", "rtx 3O60"])
def test_an_unknown_name_is_answered_with_the_nearest(name: str) -> None:
    with pytest.raises(
        GpuError, match=rf"^unknown GPU '{name}'; the nearest known ones: RTX 3060, .*--vram"
    ):
        find_gpu(name)


@pytest.mark.parametrize("name", ["", "  ", "NVIDIA", "xyzzy!"])
def test_a_name_like_none_is_told_so(name: str) -> None:
    with pytest.raises(GpuError, match=re.escape(f"unknown GPU {name!r}; nothing known is near")):
        find_gpu(name)


def test_every_entry_is_found_by_its_own_name_and_makes_sense() -> None:
    gpus = list_gpu_models()

    assert len(gpus) >= 70
    for gpu in gpus:
        assert find_gpu(gpu.name) == gpu
        assert 2 * GIB <= gpu.memory <= 200 * GIB
        assert 100e9 <= gpu.bandwidth <= 5000e9
        assert 2e12 <= gpu.flops <= 120e12
        assert 1 <= gpu.half_flops / gpu.flops <= 20
        assert (5, 0) < gpu.capability <= (12, 0)
        assert gpu.has_tensor_cores == (gpu.half_flops / gpu.flops > 2.01 or gpu.flops > 12e12) or (
            gpu.is_laptop or gpu.half_flops / gpu.flops == pytest.approx(2, rel=0.02)
        )
        assert gpu.source.startswith("NVIDIA")


def test_what_a_row_was_checked_with_is_listed_in_the_table() -> None:
    text = (resources.files("skelab.fit") / "gpus.yaml").read_text(encoding="utf-8")
    table = yaml.safe_load(text)

    keys = [entry.get("checked") for entry in table["gpus"]]

    assert {key for key in keys if key is not None} == set(table["checks"])
    assert [gpu.checked for gpu in list_gpu_models()] == [
        key and table["checks"][key] for key in keys
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RTX 2080 Ti", "RTX 2080 Ti has no bfloat16: its compute capability is 7.5, and that"),
        ("V100", "V100 16GB has no bfloat16: its compute capability is 7.0, and that takes 8.0"),
        ("RTX 3060", ""),
        ("L4", ""),
    ],
)
def test_older_cards_lack_bfloat16(name: str, reason: str) -> None:
    assert find_gpu(name).lacks(Precision.BF16).startswith(reason)
    assert bool(find_gpu(name).lacks(Precision.BF16)) == bool(reason)
    assert find_gpu(name).lacks(Precision.FP16) == ""


def test_error_correction_takes_a_sixteenth() -> None:
    assert find_gpu("T4").usable == 15 * GIB
    assert find_gpu("RTX 3060").usable == 12 * GIB


@pytest.mark.parametrize(
    ("gigabytes", "name"),
    [(4, "GTX 1650"), (8, "RTX 4060"), (11, "RTX 2080 Ti"), (70, "A100 80GB")],
)
def test_a_size_has_a_typical_card_of_exactly_that_size(gigabytes: int, name: str) -> None:
    gpu = typical_gpu(gigabytes * GIB)

    assert gpu.name == name
    assert gpu.memory == gigabytes * GIB


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * GIB),
        (" 8 gib ", 8 * GIB),
        ("7.5GB", 15 * GIB // 2),
        ("512MB", 512 * MIB),
        ("11264MiB", 11 * GIB),
    ],
)
def test_an_amount_with_its_unit_is_read_as_cards_are_sold(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8", "memory 8: expected a unit, GB, GiB, MB or MiB, found none; say 8GB"),
        ("8 Gbit", "memory 8 Gbit: expected a unit, GB, GiB, MB or MiB, found the unit 'gbit'"),
        ("eight GB", "memory: expected a number and its unit, say 8GB, found 'eight GB'"),
        ("-8GB", "memory: expected a number and its unit"),
        ("", "memory: expected a number and its unit"),
        ("128MB", "memory 128MB: expected 256 MB to 1024 GB"),
        ("2000GB", "memory 2000GB: expected 256 MB to 1024 GB"),
        ("0GB", "memory 0GB: expected 256 MB to 1024 GB"),
    ],
)
def test_amounts_without_unit_or_sense_are_refused(text: str, message: str) -> None:
    with pytest.raises(GpuError, match="^" + re.escape(message)):
        parse_memory(text)
