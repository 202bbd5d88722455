"""The API through ASGI: what it does, and what it refuses."""

import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import pytest
from PIL import Image

from fdikp import jobs
from fdikp.errors import ErrorCode
from fdikp.service.headers import SECURITY_HEADERS
from fdikp.service.job import StorageFullError
from fdikp.service.problems import STATUS
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore

Call = Callable[..., httpx.Response]


def problem(response: httpx.Response, code: str) -> dict[str, Any]:
    """The problem of a response, which must be complete."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    members: dict[str, Any] = response.json()
    assert members["code"] == code, members
    assert members["status"] == response.status_code == STATUS[code]
    assert members["request_id"] == response.headers["x-request-id"]
    assert members["type"] == f"urn:fdikp:problem:{code}"
    assert members["title"] and members["detail"] and "\n" not in members["detail"]
    return members


def secret(ticket: dict[str, str]) -> dict[str, str]:
    return {"X-Job-Secret": ticket["secret"]}


def ended(call: Call, ticket: dict[str, str]) -> dict[str, Any]:
    while True:
        job: dict[str, Any] = call("GET", f"/v1/jobs/{ticket['id']}", headers=secret(ticket)).json()
        if job["state"] not in ("receiving", "queued", "running"):
            return job
        time.sleep(0.02)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_every_code_has_a_status() -> None:
    assert set(get_args(ErrorCode)) <= STATUS.keys()


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_deblur_gives_what_the_jobs_give(
    form: bool, client: Call, photo: Callable[..., bytes], engine: Any, tmp_path: Path, store: JobStore
) -> None:
    body = photo(format="JPEG", quality=91, comment=b"kept")
    source, output = tmp_path / "photo.jpg", tmp_path / "result.jpg"
    source.write_bytes(body)
    assert jobs.run(jobs.DeblurRequest(source, output, quality=80), engine).status == "ok"
    if form:
        response = client("POST", "/v1/deblur", files={"image": ("a.jpg", body)}, data={"quality": "80"})
    else:
        response = client("POST", "/v1/deblur?quality=80", content=body)
    assert response.status_code == 200, response.text
    assert response.content == output.read_bytes()
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["x-model"] == "fdikp-lite" and len(response.headers["x-weights-sha256"]) == 64
    assert float(response.headers["x-seconds"]) >= 0
    assert sum(store.counts().values()) == 0 and not list((store.data / "jobs").iterdir())
    assert not list((store.data / "uploads").iterdir())


def test_a_job_from_its_photo_to_its_files(client: Call, photo: Callable[..., bytes]) -> None:
    body = photo()
    accepted = client("POST", "/v1/jobs", content=body)
    ticket = accepted.json()
    assert accepted.status_code == 202 and accepted.headers["location"] == f"/v1/jobs/{ticket['id']}"
    job = ended(client, ticket)
    assert (job["state"], job["tiles_done"], job["tiles_total"]) == ("done", 3, 3)
    assert job["expires"] > job["finished"] >= job["started"] >= job["created"]
    assert set(job["available"]) == {"result", "display", "before", "blur-map", "blur-map-figure", "confidence"}
    fetched = {
        name: client("GET", f"/v1/jobs/{ticket['id']}/{name}", headers=secret(ticket))
        for name in ("result", "display", "before", "blur-map", "blur-map?form=figure", "confidence")
    }
    assert {response.status_code for response in fetched.values()} == {200}
    assert np.array_equal(pixels(fetched["result"].content), 255 - pixels(body))
    assert np.array_equal(pixels(fetched["display"].content), pixels(fetched["result"].content))
    assert np.array_equal(pixels(fetched["before"].content), pixels(body))
    assert (pixels(fetched["blur-map"].content) == 2.5 * 256).all()
    disposition = fetched["result"].headers["content-disposition"]
    assert disposition == 'attachment; filename="photo_deblurred.png"'
    problem(client("GET", f"/v1/jobs/{ticket['id']}/preview", headers=secret(ticket)), "not_available")
    assert client("DELETE", f"/v1/jobs/{ticket['id']}", headers=secret(ticket)).status_code == 204
    problem(client("GET", f"/v1/jobs/{ticket['id']}", headers=secret(ticket)), "job_unknown")


def test_a_job_again_with_other_options_and_a_mask(client: Call, photo: Callable[..., bytes]) -> None:
    body, mask = photo(), io.BytesIO()
    Image.new("L", (64, 48), 0).save(mask, "PNG")
    ticket = client("POST", "/v1/jobs", content=body).json()
    ended(client, ticket)
    path = f"/v1/jobs/{ticket['id']}/again"
    response = client("POST", path, headers=secret(ticket), files={"mask": mask.getvalue()}, data={"format": "webp"})
    assert response.status_code == 202, response.text
    job = ended(client, response.json())
    assert job["state"] == "done" and job["result"]["media_type"] == "image/webp"
    problem(client("POST", path, headers=secret(ticket), files={"image": body}), "request_invalid")
    problem(client("POST", path, headers=secret(ticket), content=body), "request_invalid")
    problem(client("POST", path), "job_unknown")


def test_events_tell_each_state_until_the_end(client: Call, photo: Callable[..., bytes]) -> None:
    ticket = client("POST", "/v1/jobs", content=photo()).json()
    response = client("GET", f"/v1/jobs/{ticket['id']}/events", headers=secret(ticket))
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = response.text.strip().split("\n\n")
    assert all(block.startswith("event: job\ndata: {") for block in blocks)
    states = [json.loads(block.partition("data: ")[2]) for block in blocks]
    assert states[-1]["state"] == "done" and "result" in states[-1]["available"]


def test_cancelling_a_running_job(client: Call, photo: Callable[..., bytes], engine: Any, store: JobStore) -> None:
    engine.gate.clear()
    ticket = client("POST", "/v1/jobs", content=photo()).json()
    problem(client("GET", f"/v1/jobs/{ticket['id']}/result", headers=secret(ticket)), "not_ready")
    while store.get(ticket["id"]).state != "running":
        time.sleep(0.01)
    assert client("DELETE", f"/v1/jobs/{ticket['id']}", headers=secret(ticket)).status_code == 204
    assert ended(client, ticket)["state"] == "cancelled"
    problem(client("GET", f"/v1/jobs/{ticket['id']}/result", headers=secret(ticket)), "cancelled")


def test_a_large_photo_becomes_a_job(client: Call, photo: Callable[..., bytes]) -> None:
    response = client("POST", "/v1/deblur", content=photo(150, 100))
    assert response.status_code == 202
    assert ended(client, response.json())["state"] == "done"


def test_a_photo_that_fails_tells_why(client: Call, photo: Callable[..., bytes]) -> None:
    damaged = photo(64, 48, "PNG")[:-60]
    response = client("POST", "/v1/deblur", content=damaged)
    members = problem(response, "photo_damaged")
    assert "/" not in members["detail"]
    ticket = client("POST", "/v1/jobs", content=damaged).json()
    assert ended(client, ticket)["problem"]["code"] == "photo_damaged"
    problem(client("GET", f"/v1/jobs/{ticket['id']}/result", headers=secret(ticket)), "photo_damaged")


@pytest.mark.parametrize("path", ["/v1/deblur", "/v1/jobs"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("strength=3", "request_invalid"),
        ("strength=nan", "request_invalid"),
        ("strength=x&strength=1", "request_invalid"),
        ("quality=0", "request_invalid"),
        ("format=exe", "request_invalid"),
        ("region=1,2,3", "request_invalid"),
        ("max_blur=-1", "request_invalid"),
        ("min_blur=3&max_blur=2", "request_invalid"),
        ("output=/etc/passwd", "request_invalid"),
        ("model=../../etc/passwd", "model_unknown"),
    ],
)
def test_options_that_are_refused(path: str, query: str, code: str, client: Call, photo: Callable[..., bytes]) -> None:
    members = problem(client("POST", f"{path}?{query}", content=photo()), code)
    assert query.partition("=")[0] in members["detail"] or code != "request_invalid"
    assert "passwd" not in members["detail"]


@pytest.mark.parametrize("path", ["/v1/deblur", "/v1/jobs"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "request_invalid"),
        (b"hello", "photo_unsupported"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo_unsupported"),
        (b"\x89PNG\r\n\x1a\n", "photo_damaged"),
        (b"x" * 200_001, "body_too_large"),
        ("large", "too_many_pixels"),
    ],
    ids=["nothing", "text", "svg", "cut", "large body", "many pixels"],
)
def test_bodies_that_are_refused(
    path: str, body: bytes | str, code: str, client: Call, photo: Callable[..., bytes], store: JobStore
) -> None:
    content = photo(400, 300) if isinstance(body, str) else body
    problem(client("POST", path, content=content), code)
    uploads = store.data / "uploads"
    assert store.queue_length() == 0 and not (uploads.exists() and list(uploads.iterdir()))


def test_a_body_of_unknown_length_is_counted(client: Call) -> None:
    async def chunks() -> Any:
        for _ in range(300):
            yield b"x" * 1000

    problem(client("POST", "/v1/deblur", content=chunks()), "body_too_large")


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"nonsense", "http_malformed"),
        (b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\ntext\r\n--b--\r\n', "request_invalid"),
        (b'--b\r\nContent-Disposition: form-data; name="x"; filename="a"\r\n\r\nx\r\n--b--\r\n', "request_invalid"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "http_malformed"),
        (
            b'--b\r\nContent-Disposition: form-data; name="quality"\r\n\r\n%s\r\n--b--\r\n' % (b"9" * 5000),
            "http_malformed",
        ),
        (b'--b\r\nContent-Disposition: form-data; name="mode"\r\n\r\n1\r\n--b--\r\n', "request_invalid"),
        (b'--b\r\nContent-Disposition: form-data; name="quality"\r\n\r\n1\r\n' * 2 + b"--b--\r\n", "request_invalid"),
    ],
    ids=["no form", "no file", "another file", "no name", "long field", "unknown field", "twice"],
)
def test_forms_that_are_refused(body: bytes, code: str, client: Call) -> None:
    problem(client("POST", "/v1/jobs", content=body, headers=FORM), code)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing", "not_found"),
        ("GET", "/v1/jobs/../../etc/passwd", "not_found"),
        ("GET", "/static/../app.py", "not_found"),
        ("GET", "/docs", "not_found"),
        ("PUT", "/v1/deblur", "method_not_allowed"),
        ("GET", "/v1/jobs/none", "job_unknown"),
        ("GET", "/v1/jobs/%2e%2e", "job_unknown"),
        ("GET", "/v1/jobs/none/result", "job_unknown"),
        ("GET", "/v1/jobs/none/events", "job_unknown"),
        ("DELETE", "/v1/jobs/none", "job_unknown"),
    ],
)
def test_paths_that_are_refused(method: str, path: str, code: str, client: Call) -> None:
    response = client(method, path)
    problem(response, code)
    assert code != "method_not_allowed" or response.headers["allow"] == "POST"


def test_a_job_needs_its_own_secret(client: Call, photo: Callable[..., bytes]) -> None:
    one, other = (client("POST", "/v1/jobs", content=photo()).json() for _ in range(2))
    for headers in ({}, {"X-Job-Secret": ""}, secret(other)):
        problem(client("GET", f"/v1/jobs/{one['id']}", headers=headers), "job_unknown")
        problem(client("DELETE", f"/v1/jobs/{one['id']}", headers=headers), "job_unknown")
    assert one["secret"] not in client("GET", f"/v1/jobs/{one['id']}", headers=secret(one)).text


def test_the_queue_and_each_client_have_limits(
    serve: Any, settings: ServiceSettings, engine: Any, photo: Callable[..., bytes]
) -> None:
    engine.gate.clear()
    client = serve(settings)
    for _ in range(3):
        assert client("POST", "/v1/jobs", content=photo()).status_code == 202
    refused = client("POST", "/v1/jobs", content=photo())
    problem(refused, "client_limit")
    assert int(refused.headers["retry-after"]) > 0
    ready = client("GET", "/readyz")
    assert ready.json() == {"status": "ready", "unfinished_jobs": 3}


def test_a_full_queue_and_a_full_disk(
    client: Call, store: JobStore, monkeypatch: pytest.MonkeyPatch, photo: Callable[..., bytes]
) -> None:
    monkeypatch.setattr(store, "_queue_length", 0)
    refused = client("POST", "/v1/deblur", content=photo())
    problem(refused, "queue_full")
    assert int(refused.headers["retry-after"]) > 0

    def full(needed: int = 0) -> None:
        raise StorageFullError("the disk of the service is nearly full", hint="try again later")

    monkeypatch.setattr(store, "check_space", full)
    problem(client("POST", "/v1/jobs", content=photo()), "storage_full")
    problem(client("GET", "/readyz"), "storage_full")


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/v1/models", "/v1/jobs/none", "/openapi.json"])
def test_every_response_has_the_security_headers(path: str, client: Call) -> None:
    response = client("GET", path)
    assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert response.headers["cache-control"] == "no-store" and response.headers["x-request-id"]
    assert "unsafe" not in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, "host_refused"),
        ({"Host": "localhost.evil.example"}, "host_refused"),
        ({"Host": "127.0.0.1.evil.example:80"}, "host_refused"),
        ({"Host": "localhost:99999"}, "host_refused"),
        ({"Origin": "http://evil.example"}, "origin_refused"),
        ({"Origin": "null"}, "origin_refused"),
        ({"Origin": "http://localhost:1"}, "origin_refused"),
        ({"Origin": "http://localhost"}, None),
        ({"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"}, None),
        ({"Host": "photos.example"}, None),
    ],
)
def test_hosts_and_origins(headers: dict[str, str], code: str | None, serve: Any, settings: ServiceSettings) -> None:
    client = serve(replace(settings, allowed_hosts=("photos.example",)))
    response = client("GET", "/healthz", headers=headers)
    if code is None:
        assert response.status_code == 200
    else:
        problem(response, code)


def test_tokens_are_asked_for_and_rotate(serve: Any, settings: ServiceSettings, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# ours\nfirst-token-0123456789\n")
    client = serve(replace(settings, tokens=file))

    def answer(value: str) -> httpx.Response:
        return client("GET", "/v1/models", headers={"Authorization": value})

    assert client("GET", "/healthz").status_code == 200
    refused = client("GET", "/metrics")
    problem(refused, "token_missing")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    problem(answer("Basic first-token-0123456789"), "token_missing")
    problem(answer("Bearer first-token-012345678"), "token_wrong")
    problem(answer("Bearer # ours"), "token_wrong")
    assert answer("Bearer first-token-0123456789").status_code == 200
    file.write_text("second-token-9876543210\n")
    os.utime(file, ns=(1, 1))
    problem(answer("Bearer first-token-0123456789"), "token_wrong")
    assert answer("bearer second-token-9876543210").status_code == 200
    file.unlink()
    problem(answer("Bearer second-token-9876543210"), "token_wrong")


@pytest.mark.parametrize("content", [None, "", "# only\n", "short\n"])
def test_a_token_file_that_cannot_be_used(content: str | None, tmp_path: Path, serve: Any, settings: Any) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=f"^tokens='{file}': .*; write one token of at least 16 characters a line$"):
        serve(replace(settings, tokens=file))


def test_models_have_no_paths(client: Call) -> None:
    models = client("GET", "/v1/models").json()["models"]
    assert [model["name"] for model in models if model["default"]] == ["fdikp-lite"] == [models[0]["name"]]
    assert all("path" not in model and len(model["sha256"]) == 64 for model in models)


def test_metrics_count_requests_by_route(client: Call, photo: Callable[..., bytes]) -> None:
    ticket = client("POST", "/v1/jobs", content=photo()).json()
    ended(client, ticket)
    client("GET", "/nothing")
    text = client("GET", "/metrics").text
    assert 'fdikp_http_requests_total{method="POST",route="/v1/jobs",status="202"} 1.0' in text
    assert 'fdikp_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'fdikp_jobs{state="done"} 1.0' in text
    assert ticket["id"] not in text


def test_the_log_has_no_contents(client: Call, photo: Callable[..., bytes], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "fdikp.service.access")
    body = photo()
    ticket = client("POST", "/v1/jobs", files={"image": ("private.png", body)}).json()
    response = client("GET", f"/v1/jobs/{ticket['id']}", headers=secret(ticket))
    lines = [json.loads(record.message) for record in caplog.records if record.name == "fdikp.service.access"]
    assert [(line["route"], line["status"]) for line in lines] == [("/v1/jobs", 202), ("/v1/jobs/{id}", 200)]
    assert lines[0]["bytes_in"] > len(body) and lines[1]["request_id"] == response.headers["x-request-id"]
    assert not any(text in caplog.text for text in ("private", ticket["id"], ticket["secret"]))


def test_a_bug_answers_without_details(
    client: Call, store: JobStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "open", lambda *args: 1 / 0)
    members = problem(client("GET", "/v1/jobs/x"), "internal_error")
    assert "division" not in json.dumps(members) and members["request_id"] in caplog.text


def test_the_openapi_document_is_complete(client: Call) -> None:
    document = client("GET", "/openapi.json").json()
    operations = [
        (path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    assert len(operations) == 16
    for path, method, operation in operations:
        assert operation["description"], path
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (path, method, status)
        assert {"401", "403", "408", "413", "421", "422", "500", "503"} <= operation["responses"].keys()
    assert "/v1/jobs/{id}/again" in document["paths"]
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    references = {reference.rpartition("/")[2] for reference in _references(document)}
    assert references == document["components"]["schemas"].keys() - {"unused"}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [reference for member in value.values() for reference in _references(member)]
    return [reference for member in value for reference in _references(member)] if isinstance(value, list) else []
