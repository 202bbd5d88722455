"""The network's configuration: every variant of the paper is a configuration, none is a fork of the code."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

SCALES = (4, 2, 1)
"""How many times smaller than the photo each stage's image is, coarse to fine."""

SIZE_MULTIPLE = 16
"""The sides of the images that `FDIKP.stages` takes are multiples of this, in pixels: the coarsest scale (4) times the
encoder's two halvings (4)."""

MIN_SIZE = 48
"""The sides of the images that `FDIKP.stages` takes are at least this, in pixels: at the coarsest scale the half-plane
spectrum is then 7 wide, the least that the KernelPredictor's 11×11 convolution with padding 2 can read."""

Bottleneck = Literal["sequential", "spatial", "frequency", "parallel", "residual"]
Predictor = Literal["frequency", "spatial", "fixed"]
BlurReads = Literal["detail", "image"]
KernelsActOn = Literal["codes", "light"]

BLUR_READS: tuple[BlurReads, ...] = get_args(BlurReads)
KERNELS_ACT_ON: tuple[KernelsActOn, ...] = get_args(KernelsActOn)

_CHOICES: dict[str, tuple[str, ...]] = {
    "bottleneck": get_args(Bottleneck),
    "predictor": get_args(Predictor),
    "blur_reads": BLUR_READS,
    "kernels_act_on": KERNELS_ACT_ON,
}
"""The values of fields that name one of several forms."""

_LENGTHS = {"widths": 3, "encoder_blocks": 2, "decoder_blocks": 2}
"""How many integers a field has that has several."""

_SMALLEST = {
    "widths": 1,
    "encoder_blocks": 0,
    "decoder_blocks": 0,
    "bottleneck_depth": 0,
    "heads": 1,
    "predictor_width": 1,
    "kernel_size": 1,
    "kernels": 1,
}
"""The smallest integer that a field may have."""


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of one FDIKP network. The defaults are the paper's full model (5,520,465 parameters, of which 250 are
    the bank of `KernelPredictor`, which is ours).

    Raises:
        ValueError: no network can be built from a field's value; the message names the field.
    """

    widths: tuple[int, int, int] = (64, 64, 160)
    """Channels at full, half and quarter resolution of each stage (c, c and d in Fig. 3)."""

    encoder_blocks: tuple[int, int] = (3, 3)
    """ResBlocks of the encoder at full and half resolution."""

    decoder_blocks: tuple[int, int] = (3, 4)
    """ResBlocks of the decoder at full and half resolution."""

    bottleneck: Bottleneck = "sequential"
    """The dual-domain module: spatial attention then frequency blocks (`sequential`, Table 3d), one of them alone
    (3a, 3b), both side by side with a gate (`parallel`, 3c), or plain ResBlocks (`residual`, the SRAM of Table 2)."""

    bottleneck_depth: int = 3
    """Pairs of strip attention and number of frequency blocks, or ResBlocks, in the bottleneck."""

    heads: int = 4
    """Attention heads of each strip direction; twice this must divide `widths[2]`."""

    predictor: Predictor = "frequency"
    """What predicts inverse kernels: DIKP from the spectrum, the image itself (Fig. 6), or nothing: fixed kernels."""

    predictor_width: int = 128
    """Channels of the KernelPredictor's 11×11 convolution."""

    kernel_size: int = 5
    """K, odd: the side of an inverse kernel, in samples."""

    kernels: int = 5
    """N: inverse kernels predicted for each image. The paper takes N = K."""

    position_adaptive: bool = True
    """Position adaptive convolution (eq. 9); without it the kernels are applied by plain convolution."""

    dilation_range: float = 2.0
    """The largest dilation D(p) in pixels, rounded to 1e-6. Ours: 2, so that the sigmoid's middle is 1, plain
    convolution."""

    blur_reads: BlurReads = "detail"
    """What the dilation map is computed from: the energy of detail (ours), or the image (the paper)."""

    kernels_act_on: KernelsActOn = "codes"
    """What inverse kernels are applied to: the image's sRGB values, as in the paper, or linear light, in which blur
    happens."""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        for name, smallest in _SMALLEST.items():
            value, length = getattr(self, name), _LENGTHS.get(name)
            numbers = value if length and isinstance(value, tuple | list) else [value]
            if len(numbers) != (length or 1) or any(type(n) is not int or n < smallest for n in numbers):
                what = f"{length} integers" if length else "an integer"
                raise ValueError(f"{name} must be {what}, at least {smallest}, not {value!r}")
            if length:
                object.__setattr__(self, name, tuple(numbers))
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {self.kernel_size}")
        if type(self.position_adaptive) is not bool:
            raise ValueError(f"position_adaptive must be True or False, not {self.position_adaptive!r}")
        if self.bottleneck != "residual" and self.widths[2] % (2 * self.heads):
            raise ValueError(f"widths[2] = {self.widths[2]} is not a multiple of 2 × heads = {2 * self.heads}")
        if not isinstance(self.dilation_range, int | float) or not 1e-6 <= self.dilation_range < math.inf:
            raise ValueError(f"dilation_range must be finite and at least 1e-6, not {self.dilation_range!r}")
        object.__setattr__(self, "dilation_range", round(self.dilation_range, 6))  # as `encoded_config` stores it

    @property
    def candidates(self) -> int:
        """How many candidates a stage blends: N deconvolved images and the image itself, for each of its two images."""
        return 2 * (self.kernels + 1)

    def narrowed(self, factor: int) -> "NetworkConfig":
        """The same network with 1/factor of the channels, for quick comparisons.

        >>> NetworkConfig().narrowed(2).widths
        (32, 32, 80)

        Raises:
            ValueError: the widths are not multiples of the factor, or do not fit the attention heads.
        """
        if factor < 1 or any(width % factor for width in self.widths):
            raise ValueError(f"widths {self.widths} cannot be divided by {factor}")
        widths: tuple[int, int, int] = tuple(width // factor for width in self.widths)  # type: ignore[assignment]
        return replace(self, widths=widths, predictor_width=max(1, self.predictor_width // factor))

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "NetworkConfig":
        """The configuration that `to_dict` described.

        >>> NetworkConfig.from_dict(NetworkConfig(kernels=3).to_dict()).kernels
        3
        """
        return cls(**fields)


BASE = NetworkConfig()
"""The paper's network."""

LITE = NetworkConfig(
    widths=(32, 32, 64), encoder_blocks=(1, 2), decoder_blocks=(1, 2), bottleneck_depth=2, predictor_width=16
)
"""For CPUs. Most of the reduction is at full resolution, where each layer costs most."""

SRAM = NetworkConfig(
    widths=(64, 128, 256), decoder_blocks=(3, 2), bottleneck="residual", bottleneck_depth=2, predictor="fixed"
)
"""Table 2's baseline: GKMNet's backbone with doubled widths and one more ResBlock at the bottleneck, no FIKP.
The paper gives its parameter count only; the split over levels is ours."""

PRESETS: dict[str, NetworkConfig] = {
    "fdikp-base": BASE,
    "fdikp-lite": LITE,
    # Table 2, from the first row to the fourth; the fifth is fdikp-base
    "sram": SRAM,
    "sram-fikp": replace(SRAM, predictor="frequency"),
    "dsrm": replace(BASE, predictor="fixed"),
    "dsrm-dikp": replace(BASE, position_adaptive=False),
    # Table 3
    "ddm-spatial": replace(BASE, bottleneck="spatial"),
    "ddm-frequency": replace(BASE, bottleneck="frequency"),
    "ddm-parallel": replace(BASE, bottleneck="parallel"),
    # Fig. 6
    "spatial-predictor": replace(BASE, predictor="spatial"),
    # Fig. 12
    **{f"kernel-{k}": replace(BASE, kernel_size=k, kernels=k) for k in (3, 5, 7, 9, 11, 15)},
}
"""Networks by name: the shipped models, and each variant of the paper's tables and figures."""
