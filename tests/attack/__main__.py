"""`python -m attack [KIND]`, in tests/: the table of attacks, what was tried and what failed."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from attack.attacks import kinds
from attack.kit import fault, limit_memory, make_kit


def try_kind(title: str, folder: Path) -> tuple[int, dict[str, str]]:
    """How many attacks of a kind there are, and what is wrong with the answers, by attack."""
    kit = make_kit(folder)
    limit_memory()
    attacks = list(kinds()[title](kit))
    found = {}
    for attack in attacks:
        found[attack.name] = fault(attack, folder)
        if found[attack.name]:
            print(f"{attack.name}: {found[attack.name]}", file=sys.stderr, flush=True)
    return len(attacks), {name: reason for name, reason in found.items() if reason}


def in_a_process(title: str, folder: Path) -> tuple[int, dict[str, str]]:
    """The same in a process of its own, which a bomb may end."""
    done = subprocess.run(
        [sys.executable, "-m", "attack", title, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode or not done.stdout:
        return 0, {title: f"the process ended by {done.returncode}"}
    tried, failed = json.loads(done.stdout.splitlines()[-1])
    return tried, failed


def main() -> None:
    """Try one kind and print JSON, or all of them and print the table."""
    if len(sys.argv) == 3:
        print(json.dumps(try_kind(sys.argv[1], Path(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_kit(Path(folder))
        print("| kind | tried | failed |\n|---|---|---|")
        for title in kinds():
            if len(sys.argv) == 2 and sys.argv[1] not in title:
                continue
            tried, failed = in_a_process(title, Path(folder))
            print(f"| {title} | {tried:,} | {len(failed)} |", flush=True)


if __name__ == "__main__":
    main()
