"""The transformer's client to the predictor: any V2 server, over gRPC or REST.

The SDK's own client is one per process, sends two content types with binary tensors, flattens every error to 500, and
takes a retry count that makes gRPC refuse each call; so this one replaces it.
"""

from transformer.client.base import PredictorClient
from transformer.client.grpc import GrpcClient
from transformer.client.input import PredictorInput
from transformer.client.rest import RestClient
from transformer.settings import TransformerSettings

__all__ = ["PredictorClient", "PredictorInput", "connect"]


def connect(settings: TransformerSettings) -> PredictorClient:
    """Return the client of the protocol that the settings name; it connects when it is first used."""
    if settings.protocol_to_predictor == "grpc-v2":
        return GrpcClient(settings)
    return RestClient(settings)
