"""The three steps of a layered drawing: which column, which order within it, how high. ``canvas.layout`` takes them."""
