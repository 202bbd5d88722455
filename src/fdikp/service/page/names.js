// Names of downloads.

const EXTENSIONS = {
  "image/jpeg": ["jpg", "jpeg"], "image/png": ["png"], "image/tiff": ["tif", "tiff"], "image/webp": ["webp"],
  "image/avif": ["avif"], "image/heic": ["heic", "heif"], "image/jxl": ["jxl"], "image/bmp": ["bmp"],
};

/** The photo's name with `_deblurred`, and its own extension where that fits the media type. */
export function resultName(name, mediaType) {
  const [, stem, extension = ""] = name.match(/^(.*?)(?:\.([^.]*))?$/s);
  const fitting = EXTENSIONS[mediaType.split(";")[0].trim()] ?? [];
  const kept = fitting.length === 0 || fitting.includes(extension.toLowerCase());
  return `${stem}_deblurred.${kept ? extension : fitting[0]}`;
}
