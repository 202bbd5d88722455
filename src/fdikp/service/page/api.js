// The HTTP API. Every refusal becomes an ApiError with one sentence that can be shown.

const TOKEN = "fdikp.token";

export class ApiError extends Error {
  constructor(status, problem) {
    const detail = problem.detail?.replace(/^the (photo|mask): /, "the $1 ") || problem.title || `The server answered with status ${status}.`;
    const hint = problem.hint && !detail.includes(problem.hint) ? ` ${sentence(problem.hint)}` : "";
    super(sentence(detail) + hint);
    this.status = status;
    this.code = problem.code ?? "";
  }
}

/** The text as a sentence: a capital letter and a full stop. */
function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

export function setToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

function headers(job) {
  const token = sessionStorage.getItem(TOKEN);
  return { ...(token && { Authorization: `Bearer ${token}` }), ...(job && { "X-Job-Secret": job.secret }) };
}

const unreachable = () =>
  new ApiError(0, { detail: "The server cannot be reached", hint: "check that fdikp serve still runs, then try again" });

async function request(path, { job = null, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers(job), cache: "no-store" });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable();
  }
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => ({})));
  return response;
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) data.append(name, value, value.name ?? `${name}.png`);
    else if (value !== null && value !== undefined && value !== "") data.append(name, String(value));
  }
  return data;
}

/** Post a photo as a job: { id, secret }. `sent` is called with the fraction of the bytes that are sent. */
export function postJob(file, fields, sent, signal) {
  return new Promise((resolve, reject) => {
    const transfer = new XMLHttpRequest(); // fetch does not report how much is sent
    transfer.open("POST", "v1/jobs");
    transfer.responseType = "json";
    for (const [name, value] of Object.entries(headers(null))) transfer.setRequestHeader(name, value);
    transfer.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total);
    transfer.onerror = () => reject(unreachable());
    transfer.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    transfer.onload = () =>
      transfer.status === 202 ? resolve(transfer.response) : reject(new ApiError(transfer.status, transfer.response ?? {}));
    signal.addEventListener("abort", () => transfer.abort());
    transfer.send(form({ image: file, ...fields }));
  });
}

/** Post the source of a job again with other fields: { id, secret }. */
export async function postAgain(job, fields) {
  return (await request(`v1/jobs/${job.id}/again`, { job, method: "POST", body: form(fields) })).json();
}

/** Cancel a job, or delete the files of one that has ended. */
export async function deleteJob(job) {
  await request(`v1/jobs/${job.id}`, { job, method: "DELETE" });
}

/** A file of a job, such as `result` or `blur-map?form=raw`, as a response. */
export function getFile(job, name) {
  return request(`v1/jobs/${job.id}/${name}`, { job });
}

export async function getModels() {
  return (await request("v1/models")).json();
}

export const ended = (status) => ["done", "failed", "cancelled"].includes(status.state);

/** Follow a job until it ends; `report` is called with each status. A lost connection is opened again. */
export async function follow(job, report, signal) {
  for (let failures = 0; ; ) {
    try {
      const response = await request(`v1/jobs/${job.id}/events`, { job, signal });
      for await (const status of events(response.body)) {
        failures = 0;
        report(status);
        if (ended(status)) return status;
      }
    } catch (error) {
      if (error.name === "AbortError" || error.status >= 400) throw error;
      if (++failures > 30) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** The JSON of each server-sent event. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value.replaceAll("\r", "");
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:"));
      if (data.length) yield JSON.parse(data.map((line) => line.slice(5)).join("\n"));
    }
  }
}
