"""What the tests of the documentation know of a page: its fenced blocks, links and tables."""

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = (
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "SECURITY.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
)
RUNNABLE = ("bash", "console", "python")

_FENCE = re.compile(r"```(?P<language>\S*)[ \t]*(?P<info>.*)")
_NORUN = re.compile(r"<!-- norun:(?P<reason>.*)-->")
_SLOW = "<!-- tests: slow -->"
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"#{1,6} (?P<title>.+)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: Line of its first line of code, from 1.
        language: The word behind the fence.
        text: The code.
        norun: Why it cannot be run, as the comment right above it says; None if it can.
    """

    line: int
    language: str
    text: str
    norun: str | None


@dataclass(frozen=True)
class Page:
    """A Markdown page of the documentation.

    Attributes:
        path: The file.
        blocks: Its fenced blocks, in order.
        prose: Its lines outside of them, with their numbers from 1.
    """

    path: Path
    blocks: tuple[Block, ...]
    prose: tuple[tuple[int, str], ...]

    @property
    def name(self) -> str:
        """Path inside the repository."""
        return self.path.relative_to(REPOSITORY).as_posix()

    @property
    def is_slow(self) -> bool:
        """Whether running its blocks takes more than a few seconds."""
        return any(line == _SLOW for _, line in self.prose)

    @property
    def anchors(self) -> set[str]:
        """The anchors of its headings."""
        titles = [match["title"] for _, line in self.prose if (match := _HEADING.match(line))]
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    @property
    def links(self) -> list[tuple[int, str]]:
        """The targets of its links, with their lines."""
        return [(n, match["target"]) for n, line in self.prose for match in _LINK.finditer(line)]

    def table(self, header: str) -> list[list[str]]:
        """The rows of the table whose first column is called ``header``, cells stripped."""
        lines = [line for _, line in self.prose]
        start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header} |"))
        rows = []
        for line in lines[start + 2 :]:
            if not line.startswith("|"):
                break
            rows.append([cell.strip().strip("`") for cell in line.strip("|").split(" |")])
        return rows


def read_page(path: Path) -> Page:
    """Read a page; a fence that is never closed is an error."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))
    above = ""
    for number, line in lines:
        fence = _FENCE.fullmatch(line)
        if fence is None:
            prose.append((number, line))
            above = line
            continue
        norun = _NORUN.fullmatch(above)
        code: list[str] = []
        for _, inside in lines:
            if inside == "```":
                break
            code.append(inside)
        else:
            raise ValueError(f"{path}, line {number}: a fence that is never closed")
        reason = norun["reason"].strip() if norun else None
        blocks.append(Block(number + 1, fence["language"], "\n".join(code), reason))
        above = ""
    return Page(path, tuple(blocks), tuple(prose))


def read_pages() -> list[Page]:
    """All pages."""
    return [read_page(path) for path in PAGES]
