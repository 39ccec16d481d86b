"""What the cards of the families that PYSKL rebuilt have in common."""

PYSKL_CODE = "kennymckormick/pyskl@3f6795f2573953342457abdb338f8943542f13c4"
PYSKL_LICENCE = "Apache-2.0"
