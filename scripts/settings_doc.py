"""Writes docs/settings.md from the settings' own descriptions (`make docs`)."""

from pathlib import Path

from rostra.core import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Every setting is an environment variable `ROSTRA_NAME` or a line `name = value` in `rostra.toml` in
the folder you start from (another file: `ROSTRA_CONFIG`). The environment wins over the file. A
wrong value or an unknown name is refused at start, by name. `rostra doctor --settings` shows what
is in force. Sizes are bytes, times are seconds.

| variable | default | meaning |
|---|---|---|
"""


def page() -> str:
    """The page's text."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{field.default}`"
        rows.append(f"| `ROSTRA_{name.upper()}` | {default} | {field.description} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
