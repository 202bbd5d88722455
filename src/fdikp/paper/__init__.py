"""The FDIKP paper (arXiv 2508.12736): its published numbers, its tables and figures, and the study of its kernel path.

`numbers` holds what the paper printed and `comparison_tables` puts an evaluation beside it. `ablations` lists the
variants of each table and `reproduce` trains and scores them. `figures/` has a file for each figure; `kernel_path/`
measures whether the predicted inverse kernels do what the paper says.
"""
