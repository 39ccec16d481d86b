"""The younger families reproduce what their authors' code computed; limits are in parity_kit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import parity_kit
import pytest
import torch


@dataclass(frozen=True)
class Kit:
    """What a kit has of one network.

    Attributes:
        network: Its name.
        parameters: Numbers that its authors count as parameters.
        quick: The case of one clip.
        wide: The case of two clips; the second one has one body.
        quick_gradients: The gradients of the quick case were recorded.
        limits: Largest relative deviation of logits by type and mode, where it is another one.
        gradients_limit: The same of gradients and statistics in float64.
        layout: The joints of its clips.
        drawn: Single numbers that a new network draws at random.
    """

    network: str
    parameters: int
    quick: str = "n1_t50"
    wide: str = "n2_t64"
    quick_gradients: bool = True
    limits: Mapping[tuple[torch.dtype, str], float] = field(default_factory=dict)
    gradients_limit: float | None = None
    layout: str = "ntu25"
    drawn: tuple[str, ...] = ()


KITS = (
    Kit("dgstgcn", 1_701_172, quick="n1_t25", wide="n2_t32"),
    Kit("protogcn", 4_344_860),
    Kit("freqmixformer", 2_065_048, quick="n1_t64b"),
    # Its clips are scaled by the whole batch, in float32.
    Kit("blockgcn", 1_372_780, limits={(torch.float32, "train"): 5e-5}),
    Kit("hdgcn", 1_659_980, quick_gradients=False),
    Kit("infogcn", 1_556_807),
    Kit("posec3d", 2_024_860, quick="n1_t5", wide="n2_t6", layout="coco17"),
    Kit(
        "skeletonagent",
        3_899_767,
        quick="n1_t9",
        wide="n2_t12",
        limits={(torch.float32, "train"): 5e-5},
        drawn=("backbone.direct_fc.bias",),
    ),
    Kit("skateformer", 3_616_083, quick="n1_t64b"),
    # It decides by distances, which the authors' code rounds.
    Kit(
        "hypergcn",
        1_041_677,
        limits={(torch.float32, "train"): 2e-3, (torch.float64, "train"): 1e-7},
        gradients_limit=1e-5,
    ),
)

# Small networks of families whose full size is too large to run here.
SMALL_KITS = (
    Kit("lstc_mda_tiny", 626_510, quick="n1_t64b", quick_gradients=False),
    Kit("usdrl_tiny", 42_047, quick="n1_t64b"),
)
# Full sizes of which only keys, weights and the start are known.
NAMES_ONLY = (Kit("lstc_mda", 4_908_051),)


def each(*, gradients: bool = False) -> list[object]:
    """Every network with each of its cases; what takes long is marked as slow."""
    return [
        pytest.param(
            kit, case, id=f"{kit.network}-{case}", marks=[pytest.mark.slow] if wide else []
        )
        for kit in KITS + SMALL_KITS
        for case, wide in ((kit.quick, False), (kit.wide, True))
        if wide or kit.quick_gradients or not gradients
    ]


every_kit = pytest.mark.parametrize(
    "kit", KITS + SMALL_KITS + NAMES_ONLY, ids=lambda kit: kit.network
)
full_size = pytest.mark.parametrize("kit", KITS + NAMES_ONLY, ids=lambda kit: kit.network)


@every_kit
def test_the_weights_are_those_that_the_kit_was_made_with(kit: Kit) -> None:
    parity_kit.check_golden_weights_are_those_that_the_kit_was_made_with(kit.network)


@full_size
def test_keys_shapes_and_parameter_count_are_the_authors(kit: Kit) -> None:
    parity_kit.check_key_lists_and_parameters(
        kit.network, num_parameters=kit.parameters, layout=kit.layout
    )


@every_kit
def test_the_authors_weights_go_in_and_out_bit_for_bit(kit: Kit) -> None:
    parity_kit.check_round_trip(kit.network)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("kit", "case"), each())
def test_logits_in_both_modes_equal_the_authors(kit: Kit, case: str, dtype: torch.dtype) -> None:
    parity_kit.check_logits(kit.network, case, dtype, limits=kit.limits)


@pytest.mark.parametrize(("kit", "case"), each(gradients=True))
def test_loss_statistics_and_gradients_equal_the_authors(kit: Kit, case: str) -> None:
    parity_kit.check_statistics_and_gradients(kit.network, case, limit=kit.gradients_limit)


@full_size
def test_a_new_network_is_spread_like_the_authors(kit: Kit) -> None:
    parity_kit.check_initialisation(kit.network, layout=kit.layout, drawn=kit.drawn)
