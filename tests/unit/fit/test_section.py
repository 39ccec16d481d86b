"""The answer as a part of another report."""

from fit_kit import small_report

from skelab.fit.section import fit_section


def test_each_device_gets_a_row_for_each_network() -> None:
    reports = [small_report("here", measured=True), small_report("a card", measured=False)]

    section = fit_section(reports)

    (table,) = section.tables
    assert [row[:3] for row in table.rows] == [
        ("here, measured", "small", "no"),
        ("a card, predicted", "small", "no"),
    ]
    assert section.text == "here? No. a card? No."
    assert f"{reports[0].models[0].data.training_clips:,} clips" in table.caption
