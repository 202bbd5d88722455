"""Does the kernel path do what the paper says? Measured on pairs rendered with a known aperture and radius.

`known_blur` renders the pairs, `correlation` and `response` compare predictions with the true blur, `interventions`
replaces parts of the path in a forward pass, `measure` runs all of it, and `measurements` holds and prints the numbers.
"""

from fdikp.paper.kernel_path.known_blur import crops
from fdikp.paper.kernel_path.measure import measure
from fdikp.paper.kernel_path.measurements import Measurement, as_csv, as_json, markdown

__all__ = ["Measurement", "as_csv", "as_json", "crops", "markdown", "measure"]
