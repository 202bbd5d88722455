// What survives a reload of the page: the jobs and their settings. Photos themselves stay on the server.

const PHOTOS = "fdikp.photos";
const KEPT = ["name", "job", "model", "strength", "limit", "limited"];

/** Keep the photos that have a job, and which of them is shown. */
export function save(photos, shown) {
  const kept = photos.filter((photo) => photo.job);
  const records = kept.map((photo) => Object.fromEntries(KEPT.map((name) => [name, photo[name]])));
  sessionStorage.setItem(PHOTOS, JSON.stringify({ photos: records, shown: kept.indexOf(shown) }));
}

/** What `save` kept: { photos, shown }, an index or -1. */
export function load() {
  return JSON.parse(sessionStorage.getItem(PHOTOS) ?? '{"photos": [], "shown": -1}');
}
