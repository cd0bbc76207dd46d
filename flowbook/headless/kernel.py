"""The kernel a notebook asks for: which one it is, how it is started, how it is made to go."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_async

from flowbook.errors import HeadlessError

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec
    from nbformat import NotebookNode

NATIVE_KERNEL = "python3"
#: How long a kernel may take to say goodbye, in seconds: after a run that ended by itself, and after one that did not.
GOODBYE_S = 5.0
HURRIED_GOODBYE_S = 1.0


class NativeKernelSpecs(KernelSpecManager):  # type: ignore[misc, unused-ignore]
    """Kernel specs, where ``python3`` means the interpreter that runs this, whatever is registered under that name."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the spec of a kernel.

        Raises:
            NoSuchKernel: there is none of that name.
        """
        if kernel_name.lower() == NATIVE_KERNEL:
            try:
                from ipykernel.kernelspec import RESOURCES, get_kernel_dict
            except ImportError:
                pass  # then the registered one is the best there is
            else:
                return self.kernel_spec_class(resource_dir=RESOURCES, **get_kernel_dict())
        return super().get_kernel_spec(kernel_name)


def kernel_name_of(notebook: NotebookNode) -> str:
    """Name the kernel a notebook asks for: its kernelspec, else ``python3``."""
    name = notebook.metadata.get("kernelspec", {}).get("name")
    return name if isinstance(name, str) and name else NATIVE_KERNEL


def check_kernel(name: str) -> None:
    """Raise when that kernel cannot be started here.

    Raises:
        HeadlessError: FB706, exit code 2.
    """
    specs = NativeKernelSpecs()
    try:
        specs.get_kernel_spec(name)
    except NoSuchKernel:
        known = sorted({*specs.find_kernel_specs(), NATIVE_KERNEL})
        raise HeadlessError(
            f"there is no kernel {name!r} on this machine",
            code="FB706",
            where="the notebook's kernelspec",
            hint=f"choose one of {', '.join(known)} for the notebook, or install {name!r}",
            kernel=name,
            known=known,
        ) from None


def new_manager(name: str) -> AsyncKernelManager:
    """Make the manager of a kernel that has not started yet."""
    return AsyncKernelManager(kernel_name=name, kernel_spec_manager=NativeKernelSpecs(), **_encryption())


def _encryption() -> dict[str, str]:
    """Ask for an encrypted line to the kernel where this jupyter_client and this zmq have one.

    Others on the machine could listen otherwise, and ipykernel says so at every start.
    """
    import zmq

    is_known = AsyncKernelManager.class_traits().get("transport_encryption") is not None
    return {"transport_encryption": "auto"} if is_known and zmq.has("curve") else {}


async def shut_down(manager: AsyncKernelManager, goodbye_s: float, hurry: asyncio.Event) -> None:
    """Make a kernel go: it may say goodbye, then it is killed; afterwards nothing of it is left, whatever happened.

    Args:
        manager: of a kernel that runs, ran, or never started.
        goodbye_s: how long it may take by itself, seconds; 0 kills it at once.
        hurry: once set, the waiting is over.
    """
    if manager.has_kernel and goodbye_s > 0 and not hurry.is_set():
        manager.shutdown_wait_time = goodbye_s
        waiting = {asyncio.create_task(_say_goodbye(manager)), asyncio.create_task(_wait(hurry))}
        await asyncio.wait(waiting, timeout=goodbye_s + 1, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    with contextlib.suppress(Exception):
        await _kill(manager)
    with contextlib.suppress(Exception):
        await ensure_async(manager.cleanup_resources())


async def _say_goodbye(manager: AsyncKernelManager) -> None:
    await ensure_async(manager.shutdown_kernel(now=False))


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _kill(manager: AsyncKernelManager) -> None:
    provisioner = manager.provisioner
    if provisioner is not None and provisioner.has_process:
        await provisioner.kill()
        await asyncio.wait_for(provisioner.wait(), timeout=GOODBYE_S)
