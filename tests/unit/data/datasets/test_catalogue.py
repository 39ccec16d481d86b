"""The cards: found by being there, sound, and asked for splits and people."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from shared_data import shared_data

import skelab.data.datasets
from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.splits import Split
from skelab.data.datasets import (
    _catalogue,
    check_split,
    find_datasets,
    get_dataset,
    list_datasets,
    list_splits,
    open_source,
    parse_split,
    people_of,
)
from skelab.errors import SourceError, SplitError
from skelab.skeleton import get_layout

CUSTOM = ClipIndex.of(
    SampleInfo(f"clip{row}", 0, subject=1 + row % 6, parts=("train" if row % 3 else "test",))
    for row in range(12)
)
BARE = ClipIndex.of([SampleInfo("a", 0), SampleInfo("b", 0)])


def refusal(text: str, kind: str, index: ClipIndex = CUSTOM) -> str:
    with pytest.raises(SplitError) as caught:
        check_split(text, kind, index, Path("mine.arrow"), option="--split ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_module_of_the_package_gives_its_cards() -> None:
    folder = Path(skelab.data.datasets.__file__).parent
    modules = [file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")]

    names = [card.name for card in list_datasets()]

    assert sorted(modules) == [
        *("ntu", "nw_ucla", "pku_mmd", "precog", "sbu", "utd_mhad", "utkinect"),
    ]
    assert names == [
        *("ntu120", "ntu60", "nw-ucla", "pku-mmd", "precog", "sbu", "utd-mhad", "utkinect"),
    ]


def test_every_card_says_all_that_is_asked_of_it() -> None:
    for card in list_datasets():
        assert get_dataset(card.name) is card
        for text in (card.title, card.paper, card.home, card.licence):
            assert text.strip() == text != ""
        assert len(set(card.classes)) == len(card.classes)
        assert card.readers
        for reader in card.readers:
            assert (reader.kind, reader.units) == (card.kind, card.units)
            assert get_layout(reader.layout_name) == get_layout(card.layout)
        for split in card.splits:
            assert split.source


def test_a_card_is_json() -> None:
    card = get_dataset("sbu").to_dict()

    assert card["clips"] == 282
    assert card["splits"][0]["clips"] == [227, 55]
    assert card["splits"][0]["test"] == [102, 304, 502, 604]
    assert card["classes"][7] == "punching"


def test_data_sets_of_a_kind_are_found_the_smallest_first() -> None:
    assert [card.name for card in find_datasets("ntu")] == ["ntu60", "ntu120"]
    assert find_datasets("custom") == ()


def test_an_unknown_data_set_is_refused_with_the_nearest() -> None:
    with pytest.raises(SourceError, match="unknown data set 'ntu61', did you mean 'ntu60'"):
        get_dataset("ntu61")


def test_a_pair_of_sbu_is_two_people_and_others_are_one() -> None:
    assert people_of("sbu")(102) == people_of("sbu")(201)[::-1] == (1, 2)
    assert people_of("ntu")(102) == people_of("custom")(102) == (102,)


def test_a_data_set_is_one_new_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = Split("dance", "subject", frozenset({1}), frozenset({2}), "nobody")
    module = ModuleType("skelab.data.datasets.dance")
    vars(module)["CARDS"] = (
        replace(get_dataset("utd-mhad"), name="dance", kind="dance", splits=(own,), counts={}),
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (tmp_path / "dance.py").touch()
    monkeypatch.setattr(_catalogue, "__file__", str(tmp_path / "_catalogue.py"))
    _catalogue._cards.cache_clear()
    _catalogue._splits.cache_clear()

    try:
        found, split = list_datasets(), parse_split("dance")
    finally:
        _catalogue._cards.cache_clear()
        _catalogue._splits.cache_clear()

    assert [card.name for card in found] == ["dance"]
    assert split == own


def test_cards_that_contradict_each_other_are_refused() -> None:
    card = get_dataset("utd-mhad")
    other = replace(card.splits[0], test=frozenset({9}))

    with pytest.raises(SourceError, match="data set 'utd-mhad' has two cards"):
        _catalogue.collect_cards([card, card])
    with pytest.raises(SourceError, match="split 'utd' is already that of another data set"):
        _catalogue.collect_cards([card, replace(card, name="b", splits=(other,))])


@pytest.mark.parametrize("counts", [{"utd": (1, 2)}, {"xsub": (431, 430)}])
def test_counts_that_do_not_add_up_are_refused(counts: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(SourceError, match=r"card of UTD-MHAD, counts of '\w+': expected one of"):
        replace(get_dataset("utd-mhad"), counts=counts)


def test_cards_need_neither_torch_nor_scipy() -> None:
    code = (
        "import sys, skelab; skelab.list_datasets(); skelab.parse_split('xsub');"
        "print([m for m in ('torch', 'scipy', 'pyarrow') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("xsub", "ntu"),
        ("xset", "ntu"),
        ("sbu-fold2", "sbu"),
        ("xsub", "npz"),
        ("xsub", "pyskl"),
        ("xsub", "made-up"),
        ("given", "custom"),
        ("part:train/test", "custom"),
        ("subject:1-4/5,6", "custom"),
        ("subject:1/2", "sbu"),
    ],
)
def test_a_split_of_their_own_or_of_unknown_clips_is_taken(text: str, kind: str) -> None:
    check_split(text, kind, CUSTOM, Path("mine.arrow"), option="--split ")


def test_a_published_split_is_refused_for_data_of_ones_own_with_what_fits() -> None:
    assert refusal("xsub", "custom") == (
        "mine.arrow: split xsub is that of NTU RGB+D 120 and NTU RGB+D 60, but the clips are of a"
        " data set of your own: expected --split given or --split subject:1-4/5-6"
    )


def test_a_published_split_is_refused_for_another_data_set_with_its_own() -> None:
    assert refusal("ucla", "utd-mhad") == (
        "mine.arrow: split ucla is that of NW-UCLA, but the clips are of UTD-MHAD: expected --split"
        " utd or --split given or --split subject:1-4/5-6"
    )


def test_where_nothing_is_known_of_the_clips_the_message_says_what_is_missing() -> None:
    message = refusal("xsub", "custom", BARE)

    assert message.endswith("--split subject:TRAIN/TEST, for which the clips need subjects")


@pytest.mark.parametrize(
    ("numbers", "written"), [([1, 2, 3, 7], "1-3,7"), ([5], "5"), ([1, 3], "1,3")]
)
def test_numbers_are_written_as_a_split_is_read(numbers: list[int], written: str) -> None:
    assert _catalogue._ranges(numbers) == written


def test_every_published_split_belongs_to_a_data_set() -> None:
    owned = {split.name for card in list_datasets() for split in card.splits}

    assert owned == {split.name for split in list_splits()}


@pytest.mark.parametrize(
    ("folder", "name", "split"),
    [
        (("utd-mhad", "Skeleton"), "utd-mhad", "utd"),
        (("nw-ucla", "all_sqe"), "nw-ucla", "ucla"),
        *((("sbu-interaction", "SBU"), "sbu", f"sbu-fold{number}") for number in range(1, 5)),
    ],
)
def test_the_counts_are_those_of_genuine_recordings(
    folder: tuple[str, ...], name: str, split: str
) -> None:
    source = open_source(shared_data(*folder))
    card, chosen = get_dataset(name), parse_split(split)
    index = ClipIndex.of(item.info for item in source.items())

    train, test = (
        int(np.isin(chosen.column(index), sorted(part)).sum())
        for part in (chosen.train, chosen.test)
    )

    withheld = card.clips - len(index)  # the recordings here are a part of the data set
    assert (train, test) in (
        (card.counts[split][0], 0),
        (card.counts[split][0] - withheld, card.counts[split][1]),
    )
