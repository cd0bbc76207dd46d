"""What drawings of a flow are made of: text made safe, colours and icons, measured words, cards, edges, HTML parts.

From the bottom up: ``markup`` escapes, ``looks`` knows colours and states, ``lettering`` measures text, ``wording``
puts figures into words; ``pen`` draws with them; ``svg_cards``, ``svg_previews`` and ``svg_edges`` (along ``routes``)
draw a node and what joins it, ``html_parts`` builds pages. Nothing here knows a whole flow or run: the files above do.
"""
