"""Does the kernel path earn its place? Measured on pairs rendered with a known aperture and radius.

`known_blur` makes the pairs, `correlation` and `response` compare what is predicted with what is true, `interventions`
replaces parts of the path in a pass, `measure` puts it together, and `cells` holds and prints the numbers.
"""

from fdikp.paper.kernel_path.known_blur import crops
from fdikp.paper.kernel_path.measure import measure
from fdikp.paper.kernel_path.measurements import Cell, as_csv, as_json, markdown

__all__ = ["Cell", "as_csv", "as_json", "crops", "markdown", "measure"]
