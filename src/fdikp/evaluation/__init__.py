"""Measuring models and methods on data sets.

`protocols` defines how each paper's script scores images with `fdikp.metrics`. `evaluate` runs models on data sets;
`results` holds what it measured, `store` keeps it in a folder, `tables` and `report/` show it, and `cost` counts
operations and memory. `folders`, `compare` and `statistics` do the same for images that any method made.
"""
