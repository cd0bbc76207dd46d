"""The picture of a flow: statuses, sources, previews that compute nothing, and a bounded size."""

from __future__ import annotations
