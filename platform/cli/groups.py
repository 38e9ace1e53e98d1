"""Groups of commands that import a command's module only when it is called.

What always holds: `--help` of a group imports none of its commands, as the group has their texts;
a test compares those with what the commands say themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Later:
    """A command where it is defined.

    Attributes:
        module: its full name.
        name: of the command in it.
        text: what the group's help says of it: the first sentence of its own.
    """

    module: str
    name: str
    text: str

    def load(self) -> click.Command:
        """Imports it.

        Raises:
            TypeError: our mistake: there is something else by this name.
        """
        found = getattr(import_module(self.module), self.name)
        if not isinstance(found, click.Command):
            raise TypeError(f"{self.module}.{self.name} is no command")
        return found


class LazyGroup(click.Group):
    """See this module.

    Args:
        later: by the names that users call them by.
    """

    def __init__(self, *arguments: Any, later: Mapping[str, Later], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.later = dict(later)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *self.later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands and cmd_name in self.later:
            self.add_command(self.later[cmd_name].load(), cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        told = {name: one.text for name, one in self.later.items()}
        told |= {
            name: one.get_short_help_str(formatter.width)
            for name, one in self.commands.items()
            if name not in told and not one.hidden
        }
        with formatter.section("Commands"):
            formatter.write_dl(sorted(told.items()))
