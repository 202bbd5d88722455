"""Numbers of images: how good a restored one is, and how it compares with its target.

`psnr` (and MAE), `ssim`, `lpips` (its weights: `lpips_weights`), `overshoot` and `focus` compare with a target;
`no_reference` needs none. `registry` names every number that an evaluation may hold. Nothing here knows of data sets,
protocols or training.
"""
