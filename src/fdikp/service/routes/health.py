"""What monitors ask: whether the process answers, whether it accepts jobs, and what it counts."""

from fastapi import APIRouter, Response

from fdikp.service.openapi import problems
from fdikp.service.problems import Problem
from fdikp.service.state import ServiceOf
from fdikp.service.views import HealthView, ReadyView

router = APIRouter(tags=["operation"])


@router.get("/healthz", responses=problems())
async def healthz() -> HealthView:
    """The process answers."""
    return HealthView()


@router.get("/readyz", responses=problems("not_ready_yet", "queue_full", "storage_full"))
def readyz(service: ServiceOf) -> ReadyView:
    """The service accepts jobs: the network's process runs, and queue and disk have room."""
    if not service.working():
        raise Problem("not_ready_yet", "the process that has the network does not run", "it is restarted; try again")
    service.store.check_space()
    unfinished = service.store.queue_length()
    if unfinished >= service.settings.queue_length:
        raise Problem("queue_full", f"{unfinished} jobs are unfinished, which is the limit", "try again")
    return ReadyView(unfinished_jobs=unfinished)


@router.get(
    "/metrics",
    response_class=Response,
    responses={**problems(), 200: {"description": "Metrics.", "content": {"text/plain": {}}}},
)
def metrics(service: ServiceOf) -> Response:
    """Counters and durations in the text format of Prometheus."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
