"""Finds node types in folders: ``<folder>/<category>/<name>/`` with ``schema.json`` and ``logic.py``.

Only the JSON is read here, so that the palette, the documents and the canvas know every type without loading a table
library. ``logic.py`` is loaded when a node of the type first fires. A folder that is broken is reported and left out;
it never hides the others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowbook.core.node_types import NodeType
from flowbook.errors import NodeFolderError
from flowbook.registry.folder_logic import FolderLogic
from flowbook.registry.schema_file import NodeSchema, read_schema

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SCHEMA = "schema.json"
LOGIC = "logic.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFolder:
    """A folder that holds a node type.

    Attributes:
        path: of the folder.
        schema: what its ``schema.json`` says.
        node_type: what nodes are made from; its function loads ``logic.py`` when it is first called.
    """

    path: Path
    schema: NodeSchema
    node_type: NodeType


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenFolder:
    """A folder that was meant to hold a node type.

    Attributes:
        root: below which it was found.
        type_id: the id that its type has, or would have by the folder's name.
        error: what is wrong with it.
    """

    root: Path
    type_id: str
    error: NodeFolderError


@dataclass(slots=True)
class Scan:
    """What was found below some folders.

    Attributes:
        found: by type id.
        broken: folders that are no node type.
    """

    found: dict[str, NodeFolder] = field(default_factory=dict)
    broken: list[BrokenFolder] = field(default_factory=list)


def scan(roots: Iterable[Path], *, runtime: str) -> Scan:
    """Read every ``schema.json`` below some folders; never raises.

    Args:
        roots: hold a folder for every category; names that begin with ``.`` or ``_`` are passed over. Of two types of
            one id the one found first stays.
        runtime: version of the flowbook that is to run the nodes.
    """
    result = Scan()
    for root in roots:
        for path in _below(root, root, result):
            for folder in _below(root, path, result):
                if _is_meant(folder):
                    _add(result, root, folder, runtime)
    return result


def _below(root: Path, folder: Path, result: Scan) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
    except OSError as error:
        problem = NodeFolderError(
            f"the folder {folder.name!r} cannot be read: {error.strerror}",
            where=folder.name,
            hint=f"name a folder that holds <category>/<name>/{SCHEMA}",
            file=folder.name,
        )
        result.broken.append(BrokenFolder(root=root, type_id=folder.name, error=problem))
        return []


def _is_meant(folder: Path) -> bool:
    try:
        return (folder / SCHEMA).exists() or (folder / LOGIC).exists()
    except OSError:
        return True


def _add(result: Scan, root: Path, path: Path, runtime: str) -> None:
    try:
        found = read_folder(path, runtime=runtime)
        type_id = found.schema.type_id
        if type_id in result.found:
            raise _duplicate(found, result.found[type_id])
        result.found[type_id] = found
    except NodeFolderError as error:
        result.broken.append(BrokenFolder(root=root, type_id=_meant_id(path), error=error))


def _meant_id(path: Path) -> str:
    try:
        return str(json.loads((path / SCHEMA).read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return f"{path.parent.name}.{path.name}"


def read_folder(path: Path, *, runtime: str) -> NodeFolder:
    """Read one folder.

    Raises:
        NodeFolderError: FB230 to FB233; FB235, there is no ``logic.py``.
    """
    file = _shown(path / SCHEMA)
    try:
        text = (path / SCHEMA).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise NodeFolderError(
            f"{SCHEMA} cannot be read: {reason}", where=file, hint=f"a node type is {SCHEMA} and {LOGIC}", file=file
        ) from None
    schema = read_schema(text, file=file, runtime=runtime)
    if not (path / LOGIC).is_file():
        raise NodeFolderError(
            f"there is no {LOGIC} beside {SCHEMA}",
            code="FB235",
            where=file,
            hint="it holds the function of the node",
            file=file,
        )
    logic = FolderLogic(schema, path / LOGIC, _shown(path / LOGIC))
    node_type = NodeType(
        type_id=schema.type_id,
        function=logic.coroutine_function() if schema.is_async else logic.plain_function(),
        inputs=schema.inputs,
        outputs=schema.outputs,
        settings=schema.settings,
        doc=schema.doc,
        policy=schema.policy,
        is_async=schema.is_async,
        packet_names=schema.packet_names,
        is_tuple_result=len(schema.outputs) > 1,
        origin="folder",
        version=schema.version,
        load=logic.load,
    )
    return NodeFolder(path=path, schema=schema, node_type=node_type)


def _duplicate(later: NodeFolder, earlier: NodeFolder) -> NodeFolderError:
    file = _shown(later.path / SCHEMA)
    return NodeFolderError(
        f"there is a node type {later.schema.type_id!r} already, in {_shown(earlier.path / SCHEMA)}",
        code="FB234",
        where=file,
        hint="choose another id",
        file=file,
        field="id",
    )


def _shown(path: Path) -> str:
    """Name a file from the root of its types on: nobody's home belongs in an error."""
    return "/".join(path.parts[-4:])
