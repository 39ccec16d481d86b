"""What every page shares."""

import pytest
from jinja2 import UndefinedError

from skelab.report.page import render_page


def test_a_page_that_lacks_something_is_a_fault_and_not_a_gap() -> None:
    with pytest.raises(UndefinedError):
        render_page("comparison.html.jinja")
