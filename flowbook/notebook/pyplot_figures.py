"""Gives every firing its own pyplot figures, and lets one firing at a time draw.

pyplot is global: it keeps one list of figures and one current figure per process, so that four threads plotting at
once give one figure all the titles. And what a node leaves open the inline backend would show at the end of whatever
cell runs next. Both come from ``Gcf.figs``, pyplot's mapping from figure number to manager. Here it is replaced by
one that looks at the firing: each has figures of its own, numbered from 1, and the notebook's own are never touched.
``rcParams["figure.hooks"]``, the official hook, is not enough: it is called after a figure was made, and not at all
when ``plt.plot`` draws into the current figure of somebody else.

Separate figures do not make Matplotlib safe in threads (its parser of mathematical text and its font caches are
shared), so a firing takes its *turn* when it first touches pyplot and gives it back when it ends. Waiting is bounded:
a firing that would wait for itself (one nested in the other, two coroutines on one loop) goes on at once, any other
when the turn has not changed hands for ``_PATIENCE_S``; whoever had it then draws into its own figures without it.

Matplotlib is never imported from here; when a node or a cell imports it, the mapping is put in place.
"""

from __future__ import annotations

import asyncio
import importlib.abc
import sys
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from flowbook.runtime.firing_sink import MUTED, sink_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from flowbook.runtime.firing_sink import FiringSink

_PYPLOT_STATE = "matplotlib._pylab_helpers"
_PATIENCE_S = 20.0
_PATIENCE_ON_LOOP_S = 1.0  # a coroutine that waits stops every other one


class PyplotFigures:
    """The pyplot figures of all firings of this process: there is one, ``FIGURES``, as there is one pyplot."""

    def __init__(self) -> None:
        self._figures: weakref.WeakKeyDictionary[FiringSink, OrderedDict[Any, Any]] = weakref.WeakKeyDictionary()
        self._turn = _Turn()
        self._mapping: _FiguresHere | None = None
        self._finder = _AfterImport(_PYPLOT_STATE, self._put_in_place)
        self._install_count = 0

    def install(self) -> None:
        """Put the mapping in place, now or when Matplotlib is imported; calls nest."""
        self._install_count += 1
        if self._install_count > 1:
            return
        module = sys.modules.get(_PYPLOT_STATE)
        if module is not None:
            self._put_in_place(module)
        else:
            sys.meta_path.insert(0, self._finder)

    def uninstall(self) -> None:
        """Undo one ``install``; the last one gives pyplot its own mapping back, with the figures of the notebook."""
        self._install_count -= 1
        if self._install_count:
            return
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        state = getattr(sys.modules.get(_PYPLOT_STATE), "Gcf", None)
        if self._mapping is not None and state is not None and state.figs is self._mapping:
            state.figs = self._mapping.of_notebook
        self._mapping = None

    def collect(self, sink: FiringSink, show: Callable[[Any], None]) -> None:
        """Hand every figure that a firing left open to ``show``, by figure number; close them.

        Args:
            sink: of the firing; it must still be current.
            show: gets one Figure with something in it; what it raises goes through, the figures are closed first.
        """
        figures = self._figures.get(sink)
        if figures is None:
            return
        try:
            for manager in sorted(figures.values(), key=lambda each: each.num):
                if manager.canvas.figure.get_children()[1:]:  # the first child is the background
                    show(manager.canvas.figure)
        finally:
            sys.modules[_PYPLOT_STATE].Gcf.destroy_all()
            self._figures.pop(sink, None)
            self._turn.give_back(sink)

    def close(self, sink: FiringSink, figure: object) -> None:
        """Close one figure of a firing without showing it; anything else is left alone."""
        for manager in list(self._figures.get(sink, {}).values()):
            if manager.canvas.figure is figure:
                sys.modules[_PYPLOT_STATE].Gcf.destroy(manager)

    def _put_in_place(self, module: ModuleType) -> None:
        state: Any = getattr(module, "Gcf", None)
        if isinstance(getattr(state, "figs", None), OrderedDict):  # another Matplotlib keeps them elsewhere: hands off
            self._mapping = _FiguresHere(state.figs, self._of_firing)
            state.figs = self._mapping

    def _of_firing(self) -> OrderedDict[Any, Any] | None:
        sink = sink_here()
        if sink is None or sink is MUTED:
            return None
        figures = self._figures.get(sink)
        if figures is None:
            if not sink.is_ended:
                self._turn.take(sink)
            figures = self._figures.setdefault(sink, OrderedDict())
        return figures


class _FiguresHere:
    """Stands in place of ``Gcf.figs``: the mapping of the firing that is going on, else the notebook's."""

    def __init__(
        self, of_notebook: OrderedDict[Any, Any], of_firing: Callable[[], OrderedDict[Any, Any] | None]
    ) -> None:
        self.of_notebook = of_notebook
        self._of_firing = of_firing

    def _here(self) -> OrderedDict[Any, Any]:
        figures = self._of_firing()
        return self.of_notebook if figures is None else figures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._here(), name)

    def __getitem__(self, number: Any) -> Any:
        return self._here()[number]

    def __setitem__(self, number: Any, manager: Any) -> None:
        self._here()[number] = manager

    def __delitem__(self, number: Any) -> None:
        del self._here()[number]

    def __contains__(self, number: object) -> bool:
        return number in self._here()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._here())

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self._here())[::-1])

    def __len__(self) -> int:
        return len(self._here())

    def __repr__(self) -> str:
        return repr(self._here())


class _Turn:
    """Whose turn it is to draw: a lock that belongs to a firing, not to a thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders: dict[FiringSink, int] = {}  # with the thread each took it on
        self._given_count = 0

    def take(self, sink: FiringSink) -> None:
        """Wait for the turn; go on without it rather than wait for ever."""
        thread = threading.get_ident()
        patience_s = _PATIENCE_ON_LOOP_S if _is_on_loop() else _PATIENCE_S

        def is_free() -> bool:
            holders = self._holders
            waits_for_itself = thread in holders.values() or any(outer in holders for outer in sink.lineage())
            return not holders or waits_for_itself

        with self._changed:
            while not is_free():
                given_before = self._given_count
                if not self._changed.wait(patience_s) and self._given_count == given_before:
                    self._holders.clear()  # one that never ends must not make everybody wait as long
            self._holders[sink] = thread
            self._given_count += 1

    def give_back(self, sink: FiringSink) -> None:
        """Let the next one draw; nothing happens when the firing does not have the turn."""
        with self._changed:
            self._holders.pop(sink, None)
            self._changed.notify_all()


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls back once a module has been imported for the first time; finds nothing itself."""

    def __init__(self, name: str, call: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._call = call

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Ask the other finders for the module and put a callback behind its loader."""
        if fullname != self._name:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _CallingLoader(spec.loader, self._call)
                return spec
        return None


class _CallingLoader(importlib.abc.Loader):
    def __init__(self, loader: Any, call: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._call = call

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the real loader."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run the module as the real loader does, then call back."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._call(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


FIGURES = PyplotFigures()
