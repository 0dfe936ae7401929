"""`--config run.toml`: options by their own names, in a file; what is typed on the command line wins."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click


def read_config(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    """Make a TOML file the defaults of a command, before its other options are read.

    Raises:
        ValueError: no such file, not TOML, a key that is no option of this command, or a value of the wrong kind.
    """
    if path is None:
        return
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--config needs a TOML file; {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"--config {path} is not TOML: {error}") from error
    options = _options(ctx.command)
    ctx.default_map = {
        options[key].name: _value(path, key, value, options[key])
        for key, value in ((_known(path, key, options), value) for key, value in given.items())
    }


def _options(command: click.Command) -> dict[str, click.Option]:
    """Return every option of a command that a file can set, by each of its long names without the dashes."""
    return {
        name.removeprefix("--"): parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.is_eager
        for name in parameter.opts
        if name.startswith("--")
    }


def _known(path: str, key: str, options: dict[str, click.Option]) -> str:
    name = key.replace("_", "-")
    if name not in options:
        from envs.nearest import near

        raise ValueError(f"--config {path} has no option {key!r} to set; {near(name, list(options))}")
    return name


def _value(path: str, key: str, value: Any, option: click.Option) -> Any:
    """Return a value as click takes a default: one value, or a list where the option is repeatable."""
    if option.is_flag and not isinstance(value, bool):
        raise ValueError(f"--config {path}: {key} needs true or false, got {value!r}")
    if isinstance(value, bool) and not option.is_flag:
        raise ValueError(f"--config {path}: {key} needs a value, got {str(value).lower()}")
    if isinstance(value, dict) or not isinstance(value, (str, int, float, bool, list)):
        raise ValueError(f"--config {path}: {key} needs a plain value, got {value!r}")
    if isinstance(value, list) and any(isinstance(one, (dict, list, bool)) for one in value):
        raise ValueError(f"--config {path}: {key} needs plain values in its list, got {value!r}")
    if option.multiple:
        return value if isinstance(value, list) else [value]
    if isinstance(value, list):
        if not isinstance(option.type, click.types.StringParamType):
            raise ValueError(f"--config {path}: {key} needs one value, got {len(value)}")
        return ",".join(map(str, value))
    return value
