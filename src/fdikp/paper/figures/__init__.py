"""The paper's figures, a file for each, drawn from arrays to an image [H, 900, 3] uint8.

======================  =========  ===================================================================================
file                    figure     what its `draw` shows
======================  =========  ===================================================================================
`spectra`               Fig. 1     amplitude and phase of a sharp and a defocused image, mean amplitude by frequency
`strips`                Fig. 4     images side by side, with enlarged parts
`dilation_map`          Fig. 5     the dilation map over the image, beside the true blur radius if it is known
`inverse_kernels`       Fig. 6     predicted inverse kernels by stage beside the true blur and its inverse
`failures`              Fig. 13    the images that gained least
======================  =========  ===================================================================================

`compose` in each returns the matplotlib figure instead; `from_…` computes the arguments of `draw` from models and
images. `registry` lists the figures by name.
"""
