"""PAYLOADS: what travels along the edges, and how it stays what it was.

A value made by a node goes through this room several times::

    node returns ──publish──► edge ──hand_out──► consumer       guards.py, conversions.py, private_copies.py
                               │                                category_codes.py, foreign_tables.py
                               ├─ shape, preview ──► card        kinds.py, previews.py, pictures.py, short_text.py
                               ├─ view ────────────► grid        viewports.py, value_stats.py
                               ├─ content_key, size ► cache      content_keys.py, sizes.py
                               ├─ fingerprint ─────► debug mode  mutations.py, arrow_buffers.py
                               ├─ scanned_files, collect         plans.py, collect_turns.py
                               ├─ pack, unpack ─────► workers    packing.py, frame_pieces.py, arrow_abi.py
                               └─ encode, decode ───► stores     lasting_codecs.py

``families.py`` sorts every class into one of a dozen families, once; everything else is a table from family to
function, so that a plain value passes in well under a microsecond. ``payloads.py`` puts the parts behind
``core.interfaces.Payloads``, the only thing the engine sees.

The rules of the room:

* **A reference is passed, never bytes.** Where a form needs a copy, the copy is reported with its size and reason.
* **Nobody changes a value for anybody else.** Arrays made by nodes are frozen, and every consumer gets its own
  read-only view; frames and Series are handed out as clones that share their buffers. The known hole: a writable view
  that a node took before it returned the array still writes, also into a frame that was built over that array; debug
  mode (``mutations.py``) finds who does it.
  Arbitrary Python objects, and the objects inside an object array, cross by reference.
* **Only the head is read.** Shapes and previews cost the same for ten rows and for ten million.
* **Nothing heavy is loaded.** polars, numpy and the drawing libraries are looked up in ``sys.modules``: a value can
  only be a polars frame when polars is there already.

What does not belong here: when something is collected (runtime), how it is drawn (canvas: this room makes short plain
text, never HTML), and anything that knows a flow, a node or a port.
"""
