"""The call of a node's code: within its firing, what it prints captured, and its end told before anybody goes on."""

from __future__ import annotations

from contextvars import Context as VariableContext
from typing import TYPE_CHECKING, Any, TypeVar

from flowbook.runtime.context import firing_in_progress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowbook.core.interfaces import Effects
    from flowbook.runtime.capture import StreamCapture
    from flowbook.runtime.context import Context

T = TypeVar("T")


def called(
    capture: StreamCapture, context: Context, effects: Effects, call: Callable[[], Any], take: Callable[[Any], T]
) -> tuple[T | None, BaseException | None]:
    """Call a node's code on this thread, in variables of its own.

    Args:
        capture: of what it prints and draws.
        context: of the firing.
        effects: get what it prints.
        call: calls the code.
        take: makes of what came back what is returned; what that prints is the node's, too.

    Returns:
        What was made of what came back, and None; or None, and the exception.
    """

    def body() -> tuple[T | None, BaseException | None]:
        try:
            with firing_in_progress(context), capture.firing(effects):
                is_good = False
                try:
                    returned = call()
                    is_good = True
                finally:
                    context.attempt_ended(is_good=is_good)
                claim(capture, returned)
                return take(returned), None
        except BaseException as error:
            return None, error

    return VariableContext().run(body)


async def awaited(
    capture: StreamCapture,
    context: Context,
    effects: Effects,
    call: Callable[[], Awaitable[Any]],
    take: Callable[[Any], T],
) -> T:
    """Await a node's code; the task has variables of its own. See ``called``, but exceptions are raised."""
    with firing_in_progress(context), capture.firing(effects):
        is_good = False
        try:
            returned = await call()
            is_good = True
        finally:
            await context.attempt_ended_async(is_good=is_good)
        claim(capture, returned)
        return take(returned)


def as_it_is(returned: T) -> T:
    """Take what came back as it is."""
    return returned


def claim(capture: StreamCapture, returned: Any) -> None:
    """Say, inside a firing, which values it returns; those of a cell come by name."""
    values = returned.values() if isinstance(returned, dict) else returned
    for value in values if isinstance(returned, tuple | dict) else (returned,):
        capture.claim(value)
