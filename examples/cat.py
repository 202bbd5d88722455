"""Write the photo of `make demo`: `chelsea` by Stéfan van der Walt, CC0, from scikit-image."""

import sys
from pathlib import Path

from skimage import data

from fdikp import write_photo
from fdikp.imaging import Photo

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
folder.mkdir(parents=True, exist_ok=True)
write_photo(Photo(data.chelsea(), format="png"), folder / "cat.png")
