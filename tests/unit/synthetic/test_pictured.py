from pathlib import Path

import numpy as np
from PIL import Image

from skelab.data.clips.store import open_store
from skelab.synthetic.pictured import CLASSES, SIDE, write_pictured


def test_every_clip_has_its_pictures_and_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    first = open_store(write_pictured(tmp_path / "a", clips=16, seed=3))
    second = open_store(write_pictured(tmp_path / "b", clips=16, seed=3))

    name = first.index.names[0]
    pictures = sorted((tmp_path / "a" / "pictures" / name).iterdir())
    assert first.info.digest == second.info.digest
    assert first.info.synthetic
    assert len(pictures) == first.frames[0] == 20
    assert np.asarray(Image.open(pictures[0])).shape == (SIDE, SIDE, 3)
    same = tmp_path / "b" / "pictures" / name / pictures[0].name
    assert same.read_bytes() == pictures[0].read_bytes()


def test_half_of_the_classes_move_alike(tmp_path: Path) -> None:
    store = open_store(write_pictured(tmp_path, clips=80))

    moving: dict[int, set[tuple[int, ...]]] = {}
    for row, label in enumerate(store.index.labels.tolist()):
        spread = store.clip(row).joints[0].std(axis=0).max(axis=1)
        moving.setdefault(label, set()).add(tuple(sorted(np.argsort(-spread)[:3].tolist())))

    kinds = [next(iter(moving[label])) for label in range(len(CLASSES))]
    assert all(len(limbs) == 1 for limbs in moving.values())
    assert len(set(kinds[:4])) == 4
    assert set(kinds[4:]) == {kinds[4]}
    assert kinds[4] not in kinds[:4]
