"""The paper's figures, a file a figure, each from arrays to a picture [H, 900, 3] uint8.

======================  =========  ===================================================================================
file                    figure     what its `draw` shows
======================  =========  ===================================================================================
`spectra`               Fig. 1     amplitude and phase of a sharp and a defocused picture, mean amplitude by frequency
`strips`                Fig. 4     pictures side by side, parts of them enlarged
`dilation_map`           Fig. 5     the dilated map over the picture, beside the true radius where it is known
`inverse_kernels`       Fig. 6     predicted inverse kernels by stage beside the true blur and its inverse
`failures`              Fig. 13    the pictures that gained least
======================  =========  ===================================================================================

`compose` in each gives matplotlib's figure instead, `of_…` makes what `draw` wants from models and pictures.
"""
