"""Measuring restored photographs as the field does.

`protocols` say how each paper's script takes the numbers of `fdikp.metrics`;
`evaluate` puts models on data sets, and `results`, `store`, `tables`, `paper` and `report/` hold and show what came
out. `folders`, `compare` and `statistics` do the same for results of any method. `ablations` and `reproduce` train and
score the paper's variants, `figures/` draws its figures, and `kernel_path/` asks whether the kernels earn their place.
"""
