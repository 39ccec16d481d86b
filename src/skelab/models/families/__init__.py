"""The model families, a module each, imported when one of its networks is asked for.

A new family needs no line of code elsewhere: its network is a module here, and its card a module of
the same name in :mod:`skelab.models.cards`.
"""
