"""Where the tables go."""

from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results"


def show(text: str, name: str | None) -> None:
    """Print it, and keep it as benchmarks/results/NAME.md where a name is given."""
    print(text)
    if name:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(text, "utf-8")
