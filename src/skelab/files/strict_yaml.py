"""Strict YAML for recipes and ``dataset.yaml``: plain values, bounded size, unique keys.

PyYAML's safe loader runs no code but expands aliases without bound: ten lines can expand to
a billion entries. Recipes need no aliases, so they are refused.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from skelab.errors import SkelabError
from skelab.files.reading import read_whole

LARGEST_YAML: Final = 1 << 18
"""Maximum size of a YAML text, bytes; the longest recipe of skelab has 2,000."""

_INTEGERS: Final = range(-(1 << 63), 1 << 64)


class YamlFaultError(ValueError):
    """What is wrong with a YAML text.

    Attributes:
        reason: The fault, in a few words.
        line: Its line, from 1; None if unknown.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        YamlFaultError: The text is invalid, too long or too deep, has an alias, a key that occurs
            twice or that is a list, or an integer of more than 64 bits.
    """
    if len(text) > LARGEST_YAML:
        raise YamlFaultError(f"{len(text):,} characters, more than {LARGEST_YAML:,}")
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader underneath
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as fault:
        mark = getattr(fault, "problem_mark", None)
        reason = getattr(fault, "problem", None) or " ".join(str(fault).split())[:200]
        raise YamlFaultError(reason, mark.line + 1 if mark else None) from None


def load_yaml(text: str, where: str, error: type[SkelabError]) -> Any:
    """The value of a YAML text, with errors of a given type.

    Args:
        text: The text.
        where: Its name in messages.
        error: What to raise.

    Raises:
        SkelabError: As ``error``: what `parse_yaml` refuses, with its line.
    """
    try:
        return parse_yaml(text)
    except YamlFaultError as fault:
        line = f", line {fault.line}" if fault.line else ""
        raise error(f"{where}{line}: expected YAML, found a fault: {fault.reason}") from None


def read_yaml_text(path: Path, where: str, error: type[SkelabError]) -> str:
    """The text of a YAML file; only regular files of bounded size are read.

    Raises:
        SkelabError: As ``error``: the file cannot be read, is too large, or is no UTF-8 text.
    """
    try:
        return read_whole(path, largest=LARGEST_YAML).decode("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        reason = getattr(fault, "strerror", None) or "it is not UTF-8 text"
        raise error(f"{where} cannot be read: {reason}") from None


def dump_yaml(content: Any) -> str:
    """A value as YAML text, keys in their order, without aliases."""
    text: str = yaml.dump(content, Dumper=_PlainDumper, sort_keys=False, width=100)
    return text


class _PlainDumper(yaml.SafeDumper):
    """Writes repeated values in full."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never write an alias."""
        return True


class _StrictLoader(yaml.SafeLoader):
    """YAML without aliases, duplicate keys and oversized integers."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias before it is expanded."""
        if self.check_event(yaml.events.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, f"an alias (*{event.anchor:.40}); write the value out", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: Any) -> int:
        """Refuse an integer of more than 64 bits, and one that is no integer after all."""
        try:
            value: int = super().construct_yaml_int(node)
        except ValueError:  # 0b without a digit, or more digits than Python converts
            value = _INTEGERS.stop
        if value not in _INTEGERS:
            raise yaml.constructor.ConstructorError(
                None, None, f"an integer of {len(node.value)} characters", node.start_mark
            )
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a duplicate key."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key that is a list or a mapping", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r:.60} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)
