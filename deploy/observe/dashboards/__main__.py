"""Writes deploy/grafana: `make observe`."""

from pathlib import Path

import deploy
from deploy.observe.dashboards.boards import BOARDS
from deploy.observe.dashboards.grafana import board_json

FOLDER = Path(deploy.__file__).parent / "grafana"


def files() -> dict[Path, str]:
    """Every file of the folder, and what is to stand in it."""
    return {FOLDER / f"{board.name}.json": board_json(board) for board in BOARDS}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text)
        print(f"wrote {path}")
