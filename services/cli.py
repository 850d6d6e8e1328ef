"""The command `chasqui`: `up` runs everything, `server` and `edge` one process each, `chat` talks to a service."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import services
from services import garbage
from services.engine.load_error import EngineLoadError
from services.inherited import leave_missing_directory, open_standard_streams, raise_file_limit
from services.setting_values import text_of
from services.settings import Settings, SettingsError, fields, flag, ignored_variables, read_environment, variable
from services.threads import share_interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

# Exit status of a command whose settings or model are wrong: starting it again will not help.
_USAGE_ERROR = 2
_PROBE_SECONDS = 5.0
_POSITIVE = click.IntRange(min=1)
# Commands beside those that serve, each a function of its name in a module of `services.commands`.
_OTHERS = {"ask": "talk", "batch": "batch", "chat": "talk", "keys": "keys", "prices": "prices", "usage": "usage"}


class _Commands(click.Group):
    """Imports a command of `_OTHERS` when it is asked for: `probe` runs every few seconds, and needs none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted([*super().list_commands(ctx), *_OTHERS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, None if there is none."""
        if cmd_name not in _OTHERS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(f"services.commands.{_OTHERS[cmd_name]}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"max_content_width": 120})
@click.version_option(services.__version__, prog_name="chasqui")
def main() -> None:
    """Chasqui serves Llama 3.1 chat over gRPC and an OpenAI-compatible REST API."""
    open_standard_streams()


def _takes_settings(command: Callable[[Settings], None]) -> Callable[..., None]:
    """Give a command one flag per setting; the settings are read before it runs."""

    def run(**flags: str | None) -> None:
        garbage.postpone()
        given = {name: text for name, text in flags.items() if text is not None}
        try:
            command(read_environment(given))
        except (SettingsError, EngineLoadError) as error:
            click.echo(f"chasqui: {error}", err=True)
            sys.exit(_USAGE_ERROR)

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    for setting in reversed(list(fields())):
        run = click.option(flag(setting.name), metavar="VALUE", help=_help(setting.name, setting.metadata))(run)
    return run


def _help(name: str, metadata: Any) -> str:
    default = Settings.__dataclass_fields__[name].default
    shown = text_of(default)
    unit = f" {metadata['unit']}" if metadata["unit"] else ""
    choices = f" One of: {', '.join(metadata['choices'])}." if metadata["choices"] else ""
    return f"{metadata['help']}{choices}  [{variable(name)}{f'; default: {shown}{unit}' if shown else ''}]"


@main.command()
@_takes_settings
def up(settings: Settings) -> None:
    """Run chat server, edge and Envoy on this machine."""
    _check_single(settings)
    from services.up.service import run

    # Not on uvloop: libuv resets signals that its children are to ignore or not to get.
    sys.exit(_run("up", settings, run(settings), on_uvloop=False))


@main.command()
@_takes_settings
def server(settings: Settings) -> None:
    """Run the chat server alone."""
    if not settings.server_address:
        raise SettingsError("--server-address is needed to run the chat server alone: unix:PATH or HOST:PORT.")
    _check_single(settings)
    from services.chat.process import serve

    sys.exit(_run("server", settings, serve(settings, settings.server_address)))


@main.command()
@_takes_settings
def edge(settings: Settings) -> None:
    """Run one edge worker alone."""
    if not settings.edge_address or not settings.server_address:
        raise SettingsError("--edge-address and --server-address are needed to run the edge alone.")
    if settings.edge_transport == "relay" and not settings.relay_address:
        raise SettingsError("--relay-address is needed to run the edge alone, unless --edge-transport is stream-chat.")
    _check_single(settings)
    from edge.worker import serve

    _run("edge", settings, serve(settings))


@main.command("batch-runner")
@_takes_settings
def batch_runner(settings: Settings) -> None:
    """Run the batches of --accounts alone, with the chat server at --relay-address."""
    if not settings.relay_address:
        raise SettingsError("--relay-address is needed to run the batches alone.")
    from edge.batches.worker import serve

    _run("batches", settings, serve(settings))


@main.command("envoy-config")
@_takes_settings
def envoy_config(settings: Settings) -> None:
    """Print the configuration of a separate Envoy in front of --server-address and --edge-address."""
    if not settings.edge_address or not settings.server_address:
        raise SettingsError("--edge-address and --server-address are needed to configure Envoy.")
    from edge.envoy.config import EnvoyConfig, render
    from edge.envoy.telemetry import collector
    from edge.envoy.tls import tls

    try:
        config = EnvoyConfig(
            host=settings.host,
            port=settings.port,
            server_addresses=_addresses(settings.server_address),
            edge_addresses=_addresses(settings.edge_address),
            admin_socket=Path("/tmp/envoy-admin.sock"),  # noqa: S108 - of a container of its own
            metrics_address=settings.metrics_address,
            collector=collector(os.environ, trusts_callers=settings.trust_traceparent),
            cors_origins=settings.cors_origins,
            tls=tls(settings),  # Envoy's files: they may be on another machine than this
        )
        click.echo(render(config))
    except ValueError as error:
        raise SettingsError(str(error)) from error


@main.command()
@_takes_settings
def probe(settings: Settings) -> None:
    """Check the health of the chat server at --server-address; exit status 0 if it is serving, else 1."""
    _check_single(settings)
    from services.probe import serves

    try:
        sys.exit(0 if serves(settings.server_address, _PROBE_SECONDS) else 1)
    except (OSError, ValueError) as error:
        click.echo(f"chasqui: {settings.server_address} does not answer: {error}", err=True)
        sys.exit(1)


@main.command("build-engine")
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--precision", type=click.Choice(["bfloat16", "fp8"]), default="bfloat16", show_default=True)
@click.option(
    "--kv-cache-dtype",
    type=click.Choice(["auto", "fp8"]),
    default="auto",
    show_default=True,
    help="fp8 halves the KV cache; auto keeps 16 bits.",
)
@click.option("--max-batch-size", type=_POSITIVE, default=64, show_default=True, help="Sequences at the same time.")
@click.option("--max-seq-len", type=_POSITIVE, default=8192, show_default=True, help="Tokens of prompt and completion.")
@click.option("--max-num-tokens", type=_POSITIVE, default=8192, show_default=True, help="Tokens of a step.")
@click.option("--max-beam-width", type=_POSITIVE, default=1, show_default=True)
@click.option("--tensor-parallel", type=_POSITIVE, default=1, show_default=True, help="GPUs that share every layer.")
@click.option("--pipeline-parallel", type=_POSITIVE, default=1, show_default=True, help="GPUs that share the layers.")
def build_engine(model: str, out: Path, **limits: Any) -> None:
    """Compile MODEL, a checkpoint directory or org/repo, into the directory OUT for this machine's GPU.

    Needs TensorRT-LLM 1.2, the last that runs compiled engines. The server refuses an engine that does not fit its
    machine. An engine that is already there is not compiled again.
    """
    from services.engine.factory import compile_engine

    try:
        compile_engine(model, out, click.echo, **limits)
    except EngineLoadError as error:
        click.echo(f"chasqui: {error}", err=True)
        sys.exit(_USAGE_ERROR)


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(address.strip() for address in text.split(","))


def _check_single(settings: Settings) -> None:
    """SettingsError for a list of addresses, which only Envoy takes."""
    for name in ("server_address", "edge_address"):
        given = getattr(settings, name)
        if len(_addresses(given)) > 1:
            raise SettingsError(f"{variable(name)} is {given!r}, but must be one address: only Envoy takes several.")


def _run(
    process: str, settings: Settings, serving: Coroutine[Any, Any, int | None], *, on_uvloop: bool = True
) -> int | None:
    # Imported here: a probe needs none of it and runs every few seconds.
    import asyncio

    import uvloop

    from services.telemetry.logs import configure_logging

    configure_logging(settings, process)
    leave_missing_directory()
    raise_file_limit()
    share_interpreter()
    links = sorted(ignored_variables(os.environ))
    if links:
        log.warning("ignored variables that Kubernetes sets for a Service: %s", ", ".join(links))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if on_uvloop else None) as runner:
        return runner.run(serving)
