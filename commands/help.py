"""How help looks: options by topic, examples and exit codes at the end; and the nearest name for one that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from commands.stopping import files_own

F = TypeVar("F", bound=Callable[..., Any])
OWN = "Options"
OTHER = "Everywhere"  # the topic of options that every command has: --format, --quiet, --help
EXIT_CODES = """\b
Exit codes:
  0    done
  1    a job of a sweep failed, or the reader of stdout went away, as in `simulate.py list | head`
  2    a mistake in what was asked; one line on stderr says which
  3    of decide: what was required is not met
  130  stopped by Ctrl-C; what had finished is kept"""


class Option(click.Option):
    """An option that stands under a topic in the help."""

    def __init__(self, *names: Any, topic: str = OWN, **options: Any) -> None:
        super().__init__(*names, **options)
        self.topic = topic


def option(*names: str, topic: str = OWN, **options: Any) -> Callable[[F], F]:
    """Add an option under a topic."""
    return click.option(*names, cls=partial(Option, topic=topic), **options)  # type: ignore[arg-type]


class Topical(click.Command):
    """A command whose help lists its options by topic and ends in examples and exit codes."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        topics: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)) is not None:
                topics.setdefault(getattr(parameter, "topic", OTHER), []).append(record)
        for topic in sorted(topics, key=lambda name: name == OTHER):
            with formatter.section(click.style(topic, bold=True)):
                formatter.write_dl(topics[topic], col_max=26)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for part in (self.epilog, EXIT_CODES):
            if part:
                formatter.write_paragraph()
                formatter.write_text(part)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and name the nearest option for one that is wrong.

        A value that is empty is refused, as of a shell's variable that is not set: as a path it would be this folder,
        and as a table not given it would be the twin.
        """
        try:
            left = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from envs.nearest import near

            known = [name for p in self.get_params(ctx) for name in p.opts if name.startswith("--")]
            raise click.UsageError(
                f"no option {error.option_name!r}; {near(error.option_name, known)}", ctx
            ) from error
        for one in self.get_params(ctx):
            given, value = ctx.get_parameter_source(one.name or ""), ctx.params.get(one.name or "")
            empty = "" in (value if isinstance(value, tuple) else (value,))
            if empty and given is click.core.ParameterSource.COMMANDLINE:
                name = one.opts[0] if isinstance(one, click.Option) else one.human_readable_name
                raise click.UsageError(f"{name} needs a value, got ''", ctx)
        return left


class Group(Topical, click.Group):
    """A group of commands with options of its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        Topical.format_options(self, ctx, formatter)
        commands = [(name, self.commands[name].get_short_help_str(90)) for name in self.list_commands(ctx)]
        with formatter.section(click.style("Commands (each has a --help of its own)", bold=True)):
            formatter.write_dl(commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            if told := files_own(error):
                raise click.UsageError(told) from error
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and not args[0].startswith("-"):
            from envs.nearest import near

            raise click.UsageError(f"no command {args[0]!r}; {near(args[0], list(self.commands))}", ctx)
        return super().resolve_command(ctx, args)
