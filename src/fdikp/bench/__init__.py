"""How fast models are: `timing` in turn, what the `machine` can do, the `suite` of both, and how to `show` it."""
