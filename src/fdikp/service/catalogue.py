"""The models that a service offers."""

from fdikp.errors import ArgumentError
from fdikp.models.descriptor import ModelDescriptor, describe
from fdikp.service.settings import ServiceSettings


def catalogue(settings: ServiceSettings) -> dict[str, ModelDescriptor]:
    """The models by the name that a client gives, the default one first. Loads no weights and no torch.

    Raises:
        WeightsError: a model is unknown or damaged.
        ArgumentError: two models have the same name.
    """
    others = [model for model in settings.models if model != settings.default_model]
    found: dict[str, ModelDescriptor] = {}
    for model in (settings.default_model, *others):
        descriptor = describe(model)
        if descriptor.name in found:
            raise ArgumentError(f"two models are named {descriptor.name}", argument="models", value=settings.models)
        found[descriptor.name] = descriptor
    return found
