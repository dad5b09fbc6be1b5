"""Layout of the help texts."""

import re
from argparse import SUPPRESS, Action, _HelpAction, _SubParsersAction
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from jsonargparse import DefaultHelpFormatter

# What help texts call the value of an option, by its type.
VALUES: dict[Any, str] = {int: "N", float: "X", list[float]: "[X,...]"}
# The end of a text that says what null, the default, means.
NULL = re.compile(r"[;.,] null: (.*?)\.?$", re.DOTALL)


class HelpFormatter(DefaultHelpFormatter):
    """Formatter with dashes in flags, each value once, defaults without types, and the lines of examples kept.

    Attributes:
        aliases: flags to show before others, such as {"--optimization.learning_rate": "--lr"}.
    """

    aliases: Mapping[str, str] = MappingProxyType({})

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "\n".join(indent + line for line in text.splitlines())
        return super()._fill_text(text, width, indent)

    def _format_action(self, action: Action) -> str:
        if isinstance(action, _SubParsersAction):  # without a line of its own above the commands
            return "".join(self._format_action(command) for command in self._iter_indented_subactions(action))
        return super()._format_action(action)

    def _format_action_invocation(self, action: Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        flags = ", ".join(self._shown(flag) for flag in action.option_strings if not flag.endswith("+"))
        value = "" if action.nargs == 0 else self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{flags} {value}".rstrip()

    def _get_default_metavar_for_optional(self, action: Action) -> str:
        hint = getattr(action, "_typehint", action.type)
        kinds = {*get_args(hint), hint} & VALUES.keys()
        return VALUES[kinds.pop()] if kinds else action.dest.rpartition(".")[2].upper()

    def _get_default_metavar_for_positional(self, action: Action) -> str:
        return action.dest.upper()

    def _get_help_string(self, action: Action) -> str:
        text = action.help or ""
        if isinstance(action, _HelpAction):
            return "Show this help and exit."
        if not action.option_strings or action.nargs == 0 or action.default == SUPPRESS:
            return text
        if action.required:
            return f"{text} (required)"
        if action.default is None:
            return NULL.sub(r". (default: \1)", text)
        return f"{text} (default: {_written(action.default)})"

    def _shown(self, flag: str) -> str:
        """Return a flag as people type it: with dashes, unless it names a section of a settings file."""
        alias = self.aliases.get(flag)
        shown = flag if "." in flag else flag.replace("_", "-")
        return f"{alias}, {shown}" if alias else shown


def _written(value: Any) -> str:
    """Return a default as people type it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
