"""Measuring restored photographs: PSNR, SSIM, MAE and LPIPS as the field computes them."""

from fdikp.evaluation.lpips import LPIPS
from fdikp.evaluation.metrics import mae, psnr, ssim

__all__ = ["LPIPS", "mae", "psnr", "ssim"]
