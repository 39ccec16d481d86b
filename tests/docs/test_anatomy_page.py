"""The page on the anatomy check has the limits that the code has."""

import re

import pytest
from docs.pages import REPOSITORY

from skelab.data.audit import anatomy


@pytest.mark.parametrize(
    "said",
    [
        f"compactness below {anatomy._SOUND}, ",
        f"bones {anatomy._BETTER} times as short",
        f"more than {anatomy._MOST_CHANCE:.0%} of {anatomy._SHUFFLES} random".replace("%", " %"),
        f"bones together {1 - anatomy._EXCHANGED:.0%} shorter".replace("%", " %"),
        f"compactness below {anatomy._HOPELESS[3]} ({anatomy._HOPELESS[2]:.2f} in an image)",
        f"variation above {anatomy._MOST_VARIATION}, left against right above",
        f"median bone is longer than {anatomy._LONGEST_BONE:.0f} metres",
        f"compactness below {anatomy._ODD[3]:.2f} ({anatomy._ODD[2]} in an image)",
        f"up to {anatomy.SAMPLED} samples",
    ],
)
def test_the_page_has_the_limits_of_the_code(said: str) -> None:
    text = (REPOSITORY / "docs/explanation/anatomy.md").read_text()

    found = re.sub(r"\s+", " ", text)
    assert said in found
