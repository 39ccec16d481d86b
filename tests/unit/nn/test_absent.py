"""Absent bodies are found, counted, and put back where they were."""

import copy
import pickle

import torch
from torch import Tensor

from skelab.nn import ConstantFeatures, find_absent, version_of


def clips(absent: list[tuple[int, int]]) -> Tensor:
    """Four clips of two bodies, some of which are absent."""
    x = torch.randn(4, 3, 5, 6, 2, generator=torch.Generator().manual_seed(0))
    for clip, slot in absent:
        x[clip, ..., slot] = 0
    return x


def test_absent_bodies_are_all_zeros_in_all_frames_joints_and_axes() -> None:
    x = clips([(0, 1), (2, 1), (2, 0)])
    x[3, ..., 1] = 0
    x[3, 2, 4, 5, 1] = 1e-30
    x[0, ..., 1] = -0.0
    x[1, 0, 0, 0, 0] = torch.nan

    absent = find_absent(x, alike=False)

    assert absent is not None
    assert absent.mask.tolist() == [[False, True], [False, False], [True, True], [False, False]]
    assert absent.present.tolist() == [0, 2, 3, 6, 7]
    assert (absent.slots, absent.first.tolist(), absent.counts) == ((0, 1), [4, 1], (1, 2))
    assert absent.num_saved == 1


def test_where_slots_are_alike_one_stands_for_all() -> None:
    absent = find_absent(clips([(3, 0), (1, 1), (2, 1)]), alike=True)

    assert absent is not None
    assert (absent.slots, absent.first.tolist(), absent.counts) == ((0,), [3], (3,))
    assert absent.num_saved == 2


def test_nobody_absent_is_nothing() -> None:
    assert find_absent(clips([]), alike=False) is None


def test_counts_stand_behind_those_who_are_there() -> None:
    absent = find_absent(clips([(0, 1), (2, 1), (3, 1)]), alike=False)

    assert absent is not None
    rows = absent.multiplicities()

    assert rows.counts.tolist() == [1, 1, 1, 1, 1, 3]
    assert rows.total == 8


def test_features_are_averaged_over_the_bodies_of_each_clip() -> None:
    x = clips([(0, 1), (2, 1), (2, 0), (3, 1)])
    present, gone = torch.randn(4, 7), torch.randn(2, 7)

    absent = find_absent(x, alike=False)
    assert absent is not None
    pooled = absent.spread(present, gone).mean(dim=1)

    bodies = [(present[0], gone[1]), (present[1], present[2]), tuple(gone), (present[3], gone[1])]
    for clip, (one, other) in enumerate(bodies):
        torch.testing.assert_close(pooled[clip], (one + other) / 2)


def test_clips_without_anybody_have_the_features_of_absent_bodies() -> None:
    gone = torch.randn(1, 7)

    absent = find_absent(torch.zeros(2, 3, 5, 6, 2), alike=True)
    assert absent is not None

    nobody = gone[:0]
    torch.testing.assert_close(absent.spread(nobody, gone).mean(dim=1), gone.expand(2, 7))


def test_constants_are_computed_once_for_each_version_and_key() -> None:
    constants = ConstantFeatures()
    computed: list[int] = []

    def compute() -> Tensor:
        computed.append(1)
        return torch.tensor([float(len(computed))])

    found = [
        constants.get(version, key, compute).item()
        for version, key in [(1, "a"), (1, "a"), (1, "b"), (1, "a"), (2, "a"), (2, "a"), (1, "a")]
    ]
    constants.clear()
    found.append(constants.get(1, "a", compute).item())

    assert found == [1, 1, 2, 1, 3, 3, 4, 5]


def test_constants_do_not_gather_without_end() -> None:
    constants = ConstantFeatures()

    for length in range(1000):
        constants.get(1, length, lambda: torch.zeros(1))

    assert len(constants._kept) <= 256


def test_constants_do_not_go_into_copies_and_files() -> None:
    constants = ConstantFeatures()
    constants.get(1, "a", lambda: torch.zeros(1))

    for other in (copy.deepcopy(constants), pickle.loads(pickle.dumps(constants))):  # noqa: S301
        assert other.get(1, "a", lambda: torch.ones(1)) == 1


def test_a_version_changes_with_every_change_in_place_and_every_other_tensor() -> None:
    tensor, other = torch.nn.Parameter(torch.zeros(3)), torch.zeros(2)
    versions = [version_of([tensor, other])]

    with torch.no_grad():
        tensor[1] = 5
    versions.append(version_of([tensor, other]))
    with torch.inference_mode():
        other.mul_(2)
    versions.append(version_of([tensor, other]))
    tensor.data = torch.ones(3)
    versions.append(version_of([tensor, other]))

    assert len(set(versions)) == 4
    assert version_of([tensor, other]) == versions[-1]


def test_tensors_of_inference_mode_have_no_version() -> None:
    with torch.inference_mode():
        tensor = torch.zeros(3)

    assert version_of([tensor]) is None
