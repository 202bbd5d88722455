"""Which models there are."""

from fastapi import APIRouter

from fdikp.service.openapi import problems
from fdikp.service.state import ServiceOf
from fdikp.service.views import ModelsView, model_view

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", responses=problems())
def models(service: ServiceOf) -> ModelsView:
    """The models, the default one first."""
    default = next(iter(service.models))
    return ModelsView(models=[model_view(model, name == default) for name, model in service.models.items()])
