"""From image to image: the one path that the library, the command line and everything else call.

- `load` loads a model as a `Deblurrer` (`deblurrer`), which takes images of many kinds (`image_types`).
- `restoring` applies the network's result to pixels; `tiled` runs the network in tiles, and `ensemble` in eight
  orientations; `pixels` converts between pixels and the network's values.
- `devices` chooses where it runs and in which precision.
- `results` and `callbacks` are what callers hold. They import no torch.
"""
