"""`hub topics`: the topics as the registry says, on the cluster and on paper."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from hub.broker import TopicProblem, apply_topics, check_topics
from hub.cli.context import Exit, load_cli_config, run_command
from hub.cli.screen import print_json
from hub.cli.topic_reader import quiet_kafka
from hub.cli.wording import say, show_table
from schemas.asyncapi import render_asyncapi
from schemas.topics import TOPICS

NAME = "topics"
app = typer.Typer(help="Create the topics, compare them with the registry, or describe them.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")]


@app.command()
def apply(
    replication: Annotated[
        int | None,
        typer.Option(min=1, help="Copies of each partition. Default: 3, or as many as there are brokers."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create what is missing. Topics that exist are never changed; what is wrong with them is said."""
    created, problems = run_command(_apply(replication))
    if as_json:
        print_json({"created": created, "problems": [asdict(one) for one in problems]})
    else:
        say(f"Created: {', '.join(created)}." if created else f"All {len(TOPICS)} topics are there.")
        _show(problems)
    _end(problems)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Compare the cluster with the registry, and say how to fix what differs."""
    problems = run_command(_check())
    if as_json:
        print_json({"problems": [asdict(one) for one in problems]})
    elif not problems:
        say(f"All {len(TOPICS)} topics are as the registry says.")
    else:
        _show(problems)
    _end(problems)


@app.command()
def asyncapi() -> None:
    """Print the AsyncAPI 3 document: channels, operations of each service, JSON schemas of the messages."""
    typer.echo(render_asyncapi(), nl=False)


async def _check() -> list[TopicProblem]:
    quiet_kafka()
    return await check_topics(load_cli_config().kafka_bootstrap)


async def _apply(replication: int | None) -> tuple[list[str], list[TopicProblem]]:
    quiet_kafka()
    bootstrap = load_cli_config().kafka_bootstrap
    created = await apply_topics(bootstrap, replication=replication)
    return created, await check_topics(bootstrap)


def _show(problems: Sequence[TopicProblem]) -> None:
    if not problems:
        return
    rows = [(one.topic, one.problem, one.fix) for one in problems]
    show_table(("Topic", "Problem", "How to fix"), rows, whole=("Topic",))


def _end(problems: Sequence[TopicProblem]) -> None:
    if problems:
        raise typer.Exit(int(Exit.PROBLEM))
