"""Draws the house: `make house` reads the imports and writes docs/images/house.svg.

A room is a folder of production code. Its box names it and counts its files and lines; the line
below says which rooms of its own wing it calls; the last one which rooms of `common` it uses.
Wings stand in the order in which imports go down.
"""

import ast
from collections import defaultdict
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
DRAWING = ROOT / "docs/images/house.svg"
# Floors from the roof down; wings of one floor never import each other.
FLOORS = (("deploy",), ("ingest", "consumers", "fanout"), ("common",))
WINGS = tuple(wing for floor in FLOORS for wing in floor)

WIDTH, MARGIN, GAP = 1180, 20, 14
ROOM_HEIGHT, HEAD = 66, 34
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1d2733 }
  .wing { fill: #f4f6f9; stroke: #9aa7b5 } .room { fill: #fff; stroke: #b9c4d0 }
  .name { font-weight: 600 } .head { font-weight: 700; font-size: 15px }
  .small { fill: #5a6b7d; font-size: 11px }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6ebf1 } .wing { fill: #18202a; stroke: #4a5a6b }
    .room { fill: #222c38; stroke: #4a5a6b } .small { fill: #a3b1c0 }
  }
"""


@dataclass
class Room:
    """A folder: its files, their lines, and the rooms that they import."""

    name: str
    files: int = 0
    lines: int = 0
    calls: set[str] = field(default_factory=set)


def room_of(parts: tuple[str, ...]) -> str:
    """The room of a module: its wing and the folder in it, or the wing's entry."""
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def read_rooms() -> dict[str, Room]:
    """Every room of the house, by name."""
    rooms: dict[str, Room] = {}
    modules = [p.relative_to(ROOT) for wing in WINGS for p in sorted((ROOT / wing).rglob("*.py"))]
    packages = {room_of(path.parts) for path in modules}
    for path in modules:
        source = (ROOT / path).read_text()
        room = rooms.setdefault(room_of(path.parts), Room(room_of(path.parts)))
        room.files += path.name != "__init__.py" or len(source.splitlines()) > 12
        room.lines += len(source.splitlines())
        room.calls |= {_target(name, packages) for name in _imports(source)} - {room.name, ""}
    return rooms


def _imports(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            # A bare `import deploy` only asks where the package lies.
            names |= {alias.name for alias in node.names if "." in alias.name}
    return names


def _target(module: str, packages: set[str]) -> str:
    parts = module.split(".")
    if parts[0] not in WINGS:
        return ""
    inner = "/".join(parts[:2])
    return inner if inner in packages else parts[0]


def draw(rooms: dict[str, Room]) -> str:
    """The house as SVG."""
    shapes: list[str] = []
    y: float = MARGIN
    for floor in FLOORS:
        width = (WIDTH - 2 * MARGIN - GAP * (len(floor) - 1)) / len(floor)
        heights = []
        for place, wing in enumerate(floor):
            inside = [room for name, room in sorted(rooms.items()) if name.split("/")[0] == wing]
            x = MARGIN + place * (width + GAP)
            drawn, height = _wing(wing, inside, (x, y), width)
            shapes += drawn
            heights.append(height)
        y += max(heights) + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + MARGIN:.0f}" '
        f'role="img" aria-label="The rooms of the code and what each imports">'
    )
    return "\n".join((head, f"<style>{STYLE}</style>", *shapes, "</svg>", ""))


def _wing(
    wing: str, rooms: list[Room], corner: tuple[float, float], w: float
) -> tuple[list[str], float]:
    """The shapes of a wing, and its height."""
    x, y = corner
    columns = max(1, int(w // 340))
    height = HEAD + -(-len(rooms) // columns) * (ROOM_HEIGHT + GAP)
    shapes = [_box("wing", x, y, w, height), _text("head", x + GAP, y + 22, f"{wing}/")]
    cell = (w - GAP * (columns + 1)) / columns
    for place, room in enumerate(rooms):
        left = x + GAP + (place % columns) * (cell + GAP)
        top = y + HEAD + (place // columns) * (ROOM_HEIGHT + GAP)
        shapes += _room(room, wing, left, top, cell)
    return shapes, height


def _room(room: Room, wing: str, x: float, y: float, w: float) -> list[str]:
    by_wing: dict[str, list[str]] = defaultdict(list)
    for name in sorted(room.calls):
        inner = name.partition("/")[2] or ("entry" if name == wing else name)
        by_wing[name.split("/")[0]].append(inner)
    others = [key for key in WINGS if key not in (wing, "common") and key in by_wing]
    near = ", ".join(by_wing.get(wing, []) + others)
    down = ", ".join(name for name in by_wing.get("common", []) if wing != "common")
    title = room.name.partition("/")[2] or "entry"
    return [
        _box("room", x, y, w, ROOM_HEIGHT),
        _text("name", x + 8, y + 18, title),
        _text("small", x + w - 8, y + 18, f"{room.files} files, {room.lines} lines", end=True),
        _text("small", x + 8, y + 38, f"→ {near}" if near else ""),
        _text("small", x + 8, y + 56, f"↓ {down}" if down else ""),
    ]


def _box(kind: str, x: float, y: float, w: float, h: float) -> str:
    return f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{w:.0f}" height="{h:.0f}" rx="6"/>'


def _text(kind: str, x: float, y: float, text: str, *, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}"{anchor}>{escape(text)}</text>'


if __name__ == "__main__":
    DRAWING.write_text(draw(read_rooms()))
    print(f"wrote {DRAWING.relative_to(ROOT)}")
