"""The commands of `uota`, one in a module: what it takes, and what it does.

What a command needs beyond its settings is imported as it runs: `uota --help` shall not wait for Lightning and timm.
"""

from uota.commands import compare, demo, embed, evaluate, export, inspect, methods, misfiled, pretrain, shard, transfer
from uota.commands.parser import Command

COMMANDS: dict[str, Command] = {
    "pretrain": pretrain.COMMAND,
    "evaluate": evaluate.COMMAND,
    "transfer": transfer.COMMAND,
    "compare": compare.COMMAND,
    "embed": embed.COMMAND,
    "export": export.COMMAND,
    "inspect": inspect.COMMAND,
    "misfiled": misfiled.COMMAND,
    "shard": shard.COMMAND,
    "methods": methods.COMMAND,
    "demo": demo.COMMAND,
}

__all__ = ["COMMANDS", "Command"]
