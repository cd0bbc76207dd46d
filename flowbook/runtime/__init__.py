"""HOW A FLOW RUNS: plan, scheduler, firing, cache, keys and capture; no Jupyter, no tables, no arrays."""
