"""The command ``flowbook``: arguments in, an exit code out.

Nothing heavy is imported before a command needs it, so that ``flowbook --help`` and a mistyped option answer at once.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.errors import FlowbookError
from flowbook.headless.interruption import INTERRUPTED_EXIT_CODE, Interruption

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES = """\
exit codes:
  0  everything ran          3  the kernel died
  1  a node or cell failed   4  timed out
  2  bad arguments or file   130  interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; when left out, those of this process, which ends afterwards.

    Returns:
        The exit code; see ``flowbook --help``.
    """
    try:
        return _dispatch(_parser().parse_args(argv), is_program=argv is None)
    except SystemExit as stop:  # argparse has printed help (0) or what is wrong (2)
        return stop.code if isinstance(stop.code, int) else 2
    except FlowbookError as error:
        print(error, file=sys.stderr)
        return getattr(error, "exit_code", 2)
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT_CODE


def _dispatch(arguments: argparse.Namespace, *, is_program: bool) -> int:
    match arguments.command:
        case "run":
            return _run(arguments, is_program=is_program)
        case "check":
            from flowbook.headless.check import check_file

            return check_file(arguments.source)
        case "graph":
            from flowbook.headless.graph import draw_file

            return draw_file(arguments.source, arguments.format, arguments.output)
        case "cache":
            from flowbook.headless.cache import clear_cache, list_cache

            return (clear_cache if arguments.action == "clear" else list_cache)(arguments.flow)
        case "letters":
            return _letters(arguments, is_program=is_program)
        case _:
            from flowbook.headless.doctor import examine

            return examine()


def _letters(arguments: argparse.Namespace, *, is_program: bool) -> int:
    if arguments.action == "replay":
        with Interruption(is_last=is_program) as interruption:
            from flowbook.headless.letters import replay_letters

            return replay_letters(arguments.source, arguments.letters, interruption)
    from flowbook.headless.letters import drop_letters, list_letters

    match arguments.action:
        case "drop":
            return drop_letters(arguments.letters, arguments.flow)
        case _:
            return list_letters(arguments.flow)


def _run(arguments: argparse.Namespace, *, is_program: bool) -> int:
    # Before the imports: they take a while, and Ctrl-C may come at any moment.
    with Interruption(is_last=is_program) as interruption:
        from flowbook.headless.run import RunRequest, run_notebook

        request = RunRequest(
            source=arguments.source,
            parameters=tuple(arguments.parameters),
            output=arguments.output,
            is_in_place=arguments.inplace,
            to=tuple(arguments.to),
            json_file=arguments.json,
            timeout_s=arguments.timeout,
        )
        return run_notebook(request, interruption)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowbook",
        description="Run, check and draw notebooks whose cells are a flow.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    check = commands.add_parser("check", help="find mistakes in a notebook's flows without running anything")
    _add_source(check)
    graph = commands.add_parser("graph", help="draw the flow of a notebook or document")
    _add_source(graph)
    graph.add_argument("--format", choices=("svg", "mermaid", "json"), default="svg", help="default: svg")
    graph.add_argument("-o", "--output", type=Path, metavar="OUT", help="file to write; default: standard output")
    _add_cache(commands)
    _add_letters(commands)
    commands.add_parser("doctor", help="see whether everything flowbook needs is here and works")
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="run a notebook or flow document, headless",
        description="Run a notebook in a fresh kernel, show its nodes as they finish, write the executed notebook.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_source(run)
    run.add_argument(
        "-p",
        "--parameter",
        dest="parameters",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a name of the cell tagged 'parameters'; VALUE is a Python or JSON literal, else text",
    )
    output = run.add_mutually_exclusive_group()
    output.add_argument("-o", "--output", type=Path, metavar="OUT", help="executed notebook; default: NAME.out.ipynb")
    output.add_argument("--inplace", action="store_true", help="write the executed notebook over the notebook")
    run.add_argument("--to", action="append", default=[], metavar="NODE", help="run only up to this node")
    run.add_argument("--json", type=Path, metavar="FILE", help="write status, failures and traces as JSON")
    run.add_argument("--timeout", type=_seconds, metavar="S", help="seconds for the whole run")


def _add_cache(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    cache = commands.add_parser("cache", help='list or clear what nodes with cache="disk" have kept')
    actions = cache.add_subparsers(dest="action", metavar="list|clear")
    cache.set_defaults(action="list", flow=None)
    for action, text in (("list", "say what is kept, most recently used first"), ("clear", "forget what is kept")):
        one = actions.add_parser(action, help=text)
        one.add_argument("flow", nargs="?", metavar="FLOW", help="only this flow's; default: every flow's")


def _add_letters(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    letters = commands.add_parser("letters", help="list, replay or drop failures that nobody took")
    actions = letters.add_subparsers(dest="action", metavar="list|replay|drop")
    letters.set_defaults(action="list", flow=None)
    listed = actions.add_parser("list", help="say what has failed, with which inputs, oldest first")
    listed.add_argument("flow", nargs="?", metavar="FLOW", help="only this flow's; default: every flow's")
    replay = actions.add_parser("replay", help="fire nodes again with the inputs that failed")
    replay.add_argument("source", type=Path, metavar="NOTEBOOK|FLOW.json", help="where its nodes are defined")
    replay.add_argument("letters", nargs="*", type=int, metavar="LETTER", help="default: all of that flow")
    drop = actions.add_parser("drop", help="forget letters for good")
    drop.add_argument("letters", nargs="*", type=int, metavar="LETTER", help="numbers, as listed")
    drop.add_argument("--flow", metavar="FLOW", help="only this flow's; without numbers: all of them")


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="NOTEBOOK|FLOW.json", help="an .ipynb or a .flow.json file")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        message = f"{text!r} is not a number of seconds above 0"
        raise argparse.ArgumentTypeError(message)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
