"""The notebook's variables, as node code may read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class NotebookNamespace:
    """Names bound by the user in a notebook.

    Args:
        shell: the running shell.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def lookup(self, name: str) -> tuple[bool, Any]:
        """Return ``(True, value)`` for a name the user bound; IPython's own (``In``, ``exit`` …) are not among them."""
        namespace = self._shell.user_ns
        if name not in namespace or (name in self._shell.user_ns_hidden and self._is_hidden(name, namespace[name])):
            return False, None
        return True, namespace[name]

    def bound_names(self) -> list[str]:
        """List the names that the user bound."""
        return [name for name in list(self._shell.user_ns) if not name.startswith("_") and self.lookup(name)[0]]

    def _is_hidden(self, name: str, value: Any) -> bool:
        return self._shell.user_ns_hidden[name] is value
