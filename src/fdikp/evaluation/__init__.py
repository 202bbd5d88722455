"""Measuring restored photographs: PSNR, SSIM, MAE and LPIPS as the field computes them."""
