"""The draws of clips: each its own, whatever the company."""

import numpy as np
import pytest

from skelab.data.feeding.chance import DRAWS_PER_CLIP, ClipChance, EpochChance, draw_seed


def drawn(rows: list[int], seed: int = 1, epoch: int = 2) -> list[list[float]]:
    clips = EpochChance().of_clips(seed=seed, epoch=epoch, rows=rows)
    return [[clip.random() for _ in range(DRAWS_PER_CLIP)] for clip in clips]


def test_a_row_of_the_epochs_table_is_what_a_clip_draws() -> None:
    table = np.random.default_rng((1, 2)).random((8, DRAWS_PER_CLIP))

    found = drawn([5, 0, 7])

    assert found == table[[5, 0, 7]].tolist()


def test_a_clip_draws_the_same_in_any_company_and_order() -> None:
    chance = EpochChance()

    first = chance.of_clips(seed=1, epoch=2, rows=[3])[0].random()
    later = chance.of_clips(seed=1, epoch=2, rows=[4000, 3])[1].random()
    again = chance.of_clips(seed=1, epoch=2, rows=[1, 2, 3])[2].random()

    assert first == later == again


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 3}], ids=["seed", "epoch"])
def test_another_seed_or_epoch_draws_anew(change: dict[str, int]) -> None:
    chance = EpochChance()
    usual = {"seed": 1, "epoch": 2}

    before = chance.of_clips(**usual, rows=[0])[0].random()
    after = chance.of_clips(**{**usual, **change}, rows=[0])[0].random()

    assert before != after


def test_whole_numbers_and_ranges_are_made_of_the_draws_in_their_order() -> None:
    chance = ClipChance([0.0, 0.999, 0.5, 0.25])

    assert [chance.integers(3, 7), chance.integers(3, 7)] == [3, 6]
    assert chance.uniform(-1.0, 1.0, size=2) == [0.0, -0.5]


def test_more_draws_than_a_clip_has_are_refused() -> None:
    chance = ClipChance([0.5, 0.25])
    chance.random()
    chance.random()

    with pytest.raises(IndexError, match="a clip has 2 draws per epoch, and all were used"):
        chance.random()


def test_a_table_of_a_name_of_its_own_draws_otherwise_and_leaves_the_shared_one_alone() -> None:
    shared, named = EpochChance(), EpochChance(2, name="mirror")

    own = [named.of_clips(seed=1, epoch=2, rows=[5])[0].random() for _ in range(2)]
    others = [
        EpochChance(2, name=name).of_clips(seed=1, epoch=2, rows=[5])[0].random()
        for name in ("shear", "mirror 2")
    ]

    usual = shared.of_clips(seed=1, epoch=2, rows=[5])[0].random()
    assert own[0] == own[1]
    assert len({own[0], usual, *others}) == 4
    assert usual == drawn([5])[0][0]


def test_a_seed_of_a_clips_own_comes_from_one_draw() -> None:
    chance = ClipChance([0.5, 0.25])

    assert draw_seed(chance) == 2**52
    assert chance.random() == 0.25
