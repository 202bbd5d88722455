"""Image quality metrics.

`psnr` (and MAE), `ssim`, `lpips` (its weights: `lpips_weights`), `overshoot` and `focus` compare an image with its
target; `no_reference` needs no target. `before_after` takes all of them of one restored image and sums up a set, and
`registry` lists every metric that an evaluation may hold. Nothing here depends on data sets, protocols or training.
"""
