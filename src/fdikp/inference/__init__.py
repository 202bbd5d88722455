"""From image to image: the one path that the library, the command line and everything else call.

`deblurrer` has `load_model` and `Deblurrer`; `tiled` takes an image through the network in tiles, `ensemble` in eight
positions; `image_types` are the kinds of image that are taken, `devices` where it all runs, and in which precision.
"""
