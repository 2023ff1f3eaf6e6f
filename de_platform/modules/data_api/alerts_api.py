"""`/api/v1/alerts`."""

from de_platform.http.routing import Endpoint
from de_platform.modules.data_api.operations import ALERT_EXAMPLE
from de_platform.modules.data_api.row_endpoints import Collection, collection_endpoints
from de_platform.modules.data_api.rows import ALERT_VOCABULARY
from de_platform.pipeline.alerts import Alert
from de_platform.services.alert_store.interface import AlertStore


def alert_endpoints(store: AlertStore) -> list[Endpoint]:
    """Serve the alerts of a store."""
    alerts = Collection(
        path="/api/v1/alerts",
        noun="alert",
        plural="alerts",
        tag="alerts",
        row_type=Alert,
        example=ALERT_EXAMPLE,
        vocabulary=ALERT_VOCABULARY,
        identified_by="alert_id",
    )
    return collection_endpoints(alerts, store.find, store.get)
