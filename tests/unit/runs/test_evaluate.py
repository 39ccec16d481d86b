"""The title of a report names the data set as people do."""

import pytest
from tiny_clips import tiny_info

from skelab.data.clips.store import StoreInfo
from skelab.data.datasets import get_dataset
from skelab.runs.evaluate import dataset_title


def info_of(dataset: str, classes: tuple[str, ...]) -> StoreInfo:
    """The description of a store of a data set."""
    return tiny_info(dataset=dataset, classes=classes)


@pytest.mark.parametrize("name", ["ntu60", "ntu120", "utd-mhad"])
def test_a_public_data_set_has_its_title(name: str) -> None:
    card = get_dataset(name)

    assert dataset_title(info_of(card.kind, card.classes)) == card.title


def test_ones_own_data_set_has_its_own_name() -> None:
    assert dataset_title(info_of("my kitchen", ("pour", "stir"))) == "my kitchen"
